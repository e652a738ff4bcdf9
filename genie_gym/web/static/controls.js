// Keys, touch and gamepad: all of them hold the same named keys ("left", "z"), and those that are held make an action.

const NAMES = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", " ": "space" };
const ARROWS = { left: "◀", right: "▶", up: "▲", down: "▼" };
const DIRECTIONS = Object.keys(ARROWS);
const PAD_BUTTONS = { 12: "up", 13: "down", 14: "left", 15: "right" }; // of the standard gamepad
const FIRST_BUTTONS = 12; // the others are its buttons and triggers
const DEAD_ZONE = 0.5;

export class Controls {
  #keys = []; // [names, action] of the world
  #known = []; // names that mean something
  #held = new Map(); // name to what holds it, oldest first
  #last = null;

  // `act(action)` is called when another action is held; -1 for none.
  constructor(act, touch) {
    this.act = act;
    this.touch = touch;
    addEventListener("keydown", (event) => this.#key(event, true));
    addEventListener("keyup", (event) => this.#key(event, false));
    addEventListener("blur", () => this.release());
    addEventListener("gamepadconnected", () => requestAnimationFrame(() => this.#poll()));
  }

  use(world) {
    this.#keys = world.keys;
    this.#known = [...new Set(world.keys.flatMap(([names]) => names))];
    this.#buttons = this.#known.filter((name) => !DIRECTIONS.includes(name));
    this.#drawTouch(world);
    this.#held.clear();
    this.#last = null;
  }

  #buttons = [];

  has(name) {
    return this.#known.includes(name);
  }

  release() {
    this.#held.clear();
    this.#changed();
  }

  // Forget what was told last, as the server does when a dream begins.
  tellAgain() {
    this.#last = -1;
    this.#changed();
  }

  #hold(name, source, on) {
    if (!this.has(name)) return;
    const sources = this.#held.get(name) ?? new Set();
    on ? sources.add(source) : sources.delete(source);
    if (sources.size) this.#held.set(name, sources);
    else this.#held.delete(name);
    this.#changed();
  }

  // The action with the most of the keys that are held; of several the one whose key was pressed last.
  #action() {
    const held = [...this.#held.keys()];
    let best = -1, score = 0;
    for (const [names, action] of this.#keys) {
      if (!names.length || !names.every((name) => held.includes(name))) continue;
      const own = names.length * 1000 + Math.max(...names.map((name) => held.indexOf(name)));
      if (own > score || best < 0) [best, score] = [action, own];
    }
    return best;
  }

  #changed() {
    for (const button of this.touch.querySelectorAll("button"))
      button.classList.toggle("on", this.#held.has(button.dataset.key));
    const action = this.#action();
    if (action !== this.#last) this.act((this.#last = action));
  }

  #key(event, on) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input[type=number], input[type=password]")) return;
    const name = NAMES[event.key] ?? event.key.toLowerCase();
    if (!this.has(name)) return;
    event.preventDefault();
    if (!event.repeat) this.#hold(name, "key", on);
  }

  #drawTouch(world) {
    const button = (name) => {
      const element = document.createElement("button");
      const alone = world.keys.find(([names]) => names.length === 1 && names[0] === name);
      element.dataset.key = name;
      element.textContent = ARROWS[name] ?? label(alone ? world.actions[alone[1]] : name);
      element.setAttribute("aria-label", name);
      element.onpointerdown = (event) => {
        event.preventDefault();
        element.setPointerCapture(event.pointerId);
        this.#hold(name, "touch", true);
      };
      element.onpointerup = element.onpointercancel = () => this.#hold(name, "touch", false);
      element.oncontextmenu = (event) => event.preventDefault();
      return element;
    };
    const directions = DIRECTIONS.filter((name) => this.has(name));
    const pad = Object.assign(document.createElement("div"), { className: "pad" });
    pad.classList.toggle("flat", !this.has("up") && !this.has("down"));
    pad.append(...directions.map(button));
    const round = Object.assign(document.createElement("div"), { className: "round" });
    round.append(...this.#buttons.map(button));
    this.touch.replaceChildren(pad, round);
  }

  #poll() {
    const pads = navigator.getGamepads().filter(Boolean);
    const pressed = new Set();
    for (const pad of pads) {
      pad.buttons.forEach((button, number) => {
        if (!button.pressed) return;
        if (PAD_BUTTONS[number]) pressed.add(PAD_BUTTONS[number]);
        else if (number < FIRST_BUTTONS && this.#buttons.length) pressed.add(this.#buttons[number % this.#buttons.length]);
      });
      const [x = 0, y = 0] = pad.axes;
      if (Math.abs(x) > DEAD_ZONE) pressed.add(x < 0 ? "left" : "right");
      if (Math.abs(y) > DEAD_ZONE) pressed.add(y < 0 ? "up" : "down");
    }
    for (const name of this.#known)
      if (pressed.has(name) !== Boolean(this.#held.get(name)?.has("gamepad"))) this.#hold(name, "gamepad", pressed.has(name));
    if (pads.length) requestAnimationFrame(() => this.#poll());
  }
}

function label(text) {
  return text.length > 9 ? `${text.slice(0, 8)}…` : text;
}
