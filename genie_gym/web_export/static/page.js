// The page: draws the dream at the game's speed, and reads keys and touches.

import { Dream } from "./dream.js";

const KEYS = { ArrowRight: "right", ArrowLeft: "left", ArrowUp: "up", ArrowDown: "down", " ": "space" };
const $ = (id) => document.getElementById(id);
const held = new Set();
let dream, pixels, paused = false, context = 0, score = 0, restart = true;

/** The action of which most keys are held, and no key is not. */
function chosenAction() {
  const { actions, idle } = dream.world;
  let best = idle, most = 0;
  actions.forEach(({ keys }, i) => {
    if (keys.length > most && keys.every((key) => held.has(key))) [best, most] = [i, keys.length];
  });
  return best;
}

function draw(frame) {
  for (let i = 0, j = 0; i < frame.length; pixels.data[j++] = 255) {
    for (let k = 0; k < 3; k++) pixels.data[j++] = frame[i++];
  }
  $("picture").getContext("2d").putImageData(pixels, 0, 0);
}

async function tick() {
  if (restart) {
    restart = false;
    score = 0;
    const seed = Math.floor(Math.random() * 2 ** 32);
    draw(await dream.start(context, seed));
    $("facts").textContent = "";
    return;
  }
  if (paused) return;
  const action = chosenAction();
  const began = performance.now();
  const { frame, reward, terminated } = await dream.step(action);
  const rate = 1000 / (performance.now() - began);
  draw(frame);
  score += reward;
  const meaning = dream.world.actions[action].meaning;
  $("facts").textContent = `${meaning} · step ${dream.steps} · reward ${score.toFixed(1)} · up to ${rate.toFixed(0)} steps/s`;
  if (terminated) [restart, context] = [true, Math.floor(Math.random() * dream.world.contexts.length)];
}

async function run() {
  const period = 1000 / dream.world.frames_per_second;
  for (let due = performance.now() + period; ; due = Math.max(due + period, performance.now())) {
    await tick();
    // Counted from when it was due: timers are late, and would add up to fewer frames than the game has.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
}

function press(key, down) {
  down ? held.add(key) : held.delete(key);
  document.querySelectorAll("#pad button").forEach((b) => b.classList.toggle("held", held.has(b.dataset.key)));
}

function listen() {
  for (const [type, down] of [["keydown", true], ["keyup", false]]) {
    addEventListener(type, (event) => {
      const key = KEYS[event.key] ?? event.key.toLowerCase();
      if (!dream.world.actions.some(({ keys }) => keys.includes(key))) return;
      event.preventDefault();
      press(key, down);
    });
  }
  addEventListener("blur", () => [...held].forEach((key) => press(key, false)));
  $("restart").onclick = () => (restart = true);
  $("pause").onclick = () => ($("pause").textContent = (paused = !paused) ? "Go on" : "Pause");
  $("context").onchange = () => ([context, restart] = [Number($("context").value), true]);
}

function addButtons() {
  const signs = { left: "←", right: "→", up: "↑", down: "↓", space: "␣" };
  for (const key of new Set(dream.world.actions.flatMap(({ keys }) => keys))) {
    const button = Object.assign(document.createElement("button"), { textContent: signs[key] ?? key });
    button.dataset.key = key;
    button.onpointerdown = () => press(key, true);
    for (const type of ["pointerup", "pointerleave", "pointercancel"]) button.addEventListener(type, () => press(key, false));
    $("pad").append(button);
  }
}

async function open() {
  dream = await Dream.load();
  const { title, size, contexts } = dream.world;
  document.title = $("title").textContent = title;
  Object.assign($("picture"), { width: size, height: size });
  pixels = new ImageData(size, size);
  contexts.forEach((_, i) => $("context").append(new Option(`Start ${i + 1}`, i)));
  addButtons();
  listen();
  window.dream = dream;
  document.body.dataset.ready = "yes";
  if (!new URLSearchParams(location.search).has("still")) await run(); // ?still: only what a script asks for
}

open().catch((error) => {
  document.body.dataset.ready = "failed";
  $("facts").textContent = location.protocol === "file:"
    ? "Browsers load no model from a file: serve this folder, for example with python -m http.server."
    : `This world could not be loaded: ${error.message}`;
});
