// The page: gallery, play, and what its buttons do. Nothing is requested from any other host.

import { Controls } from "./controls.js";
import { Session } from "./session.js";
import { openApi } from "./token.js";
import { Plot, drawHeat, drawPicture, pixelsOf } from "./view.js";

const $ = (id) => document.getElementById(id);
const REWIND_EVERY = 66; // ms while the button is held
const TOAST = 6000; // ms

let worlds = new Map(), world = null;
let playing = null; // what the server says about the dream: seed, temperature ...
let paused = false, recording = false;
const times = []; // when the last frames were drawn

const rewardPlot = new Plot($("reward-plot"), $("reward-now"), "#ffb454", { low: -0.1, high: 1, digits: 2 });
const endPlot = new Plot($("end-plot"), $("end-now"), "#ff6b6b", { low: 0, high: 1, digits: 3 });
const session = new Session(draw);
const controls = new Controls((action) => session.say("hold", { action: action < 0 ? (playing?.idle ?? 0) : action }), $("touch"));

// -- Frames ---------------------------------------------------------------------------------------------------------

function draw(header, dream, real, heat) {
  drawPicture($("dream-picture"), dream);
  $("real").hidden = !real;
  if (real) drawPicture($("real-picture"), real);
  $("heat").hidden = !heat.length || !$("show-heat").checked;
  if (heat.length) drawHeat($("heat"), heat);
  rewardPlot.put(header.step, header.step ? header.reward : null);
  endPlot.put(header.step, header.step ? header.end : null);
  showHeld(header.action);
  setPaused(header.paused);
  setRecording(header.recorded);
  showMessage(header);
  showSpeed(header);
  $("dream").dataset.step = header.step;
}

function showMessage(header) {
  const text = header.ended ? "The dream ended. Press Enter to begin another." :
    header.replaying ? "Playing what was shared. Any button takes over." :
    header.real_ended ? "The real game is over; the dream goes on." :
    header.paused ? `Paused at step ${header.step}.` : "";
  $("message").textContent = text;
  $("message").hidden = !text;
}

function showSpeed({ ms, together }) {
  times.push(performance.now());
  if (times.length > 20) times.shift();
  const fps = times.length > 1 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
  const others = together > 1 ? ` · ${together} dreams in a pass` : "";
  const more = Object.assign(document.createElement("span"), { textContent: ` · ${ms.toFixed(0)} ms a step${others}` });
  $("speed").replaceChildren(...(paused ? [] : [`${fps.toFixed(0)} frames/s`, more]));
}

function showHeld(action) {
  [...$("held").children].forEach((chip, number) => chip.classList.toggle("on", number === action));
}

function setPaused(on) {
  paused = on;
  $("pause").setAttribute("aria-pressed", on);
}

function setRecording(steps) {
  recording = steps !== null;
  $("record").setAttribute("aria-pressed", recording);
  $("record").lastElementChild.textContent = recording ? `${steps} steps` : "Record";
}

function toast(text, wrong = false) {
  $("toast").textContent = text;
  $("toast").classList.toggle("error", wrong);
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => ($("toast").hidden = true), TOAST);
}

// -- Starts ---------------------------------------------------------------------------------------------------------

function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

// Begin a dream of the world shown; the settings of the page hold unless others are given.
function start(given = {}) {
  if (!world) return;
  const upscale = given.upscale ?? $("use-upscaler").checked;
  const real = given.real ?? ($("use-real").checked && !given.picture);
  const temperature = given.temperature ?? Number($("temperature").value);
  session.say("start", { world: world.id, seed: given.seed ?? randomSeed(), temperature, upscale, real, ...given });
}

function showWorld(id) {
  world = worlds.get(id) ?? null;
  playing = null;
  $("gallery").hidden = world !== null;
  $("player").hidden = $("world").hidden = world === null;
  document.title = world ? `${world.title} · genie_gym` : "genie_gym";
  if (!world) return;
  $("world").value = id;
  $("held").replaceChildren(...world.actions.map(chip));
  for (const [box, there] of [["use-upscaler", world.upscaler], ["use-real", world.real]]) {
    $(box).disabled = !there;
    $(box).checked = box === "use-upscaler" && there;
  }
  setTemperature(world.temperature);
  controls.use(world);
}

function chip(name, action) {
  const element = document.createElement("span");
  element.textContent = name;
  const keys = world.keys.filter(([, one]) => one === action).sort((a, b) => a[0].length - b[0].length)[0];
  if (keys) element.append(Object.assign(document.createElement("kbd"), { textContent: keys[0].map(keyName).join("+") }));
  return element;
}

function keyName(name) {
  return { left: "←", right: "→", up: "↑", down: "↓" }[name] ?? name;
}

function setTemperature(value) {
  $("temperature").value = value;
  $("temperature-now").textContent = Number(value).toFixed(2);
}

// The part of the address after # says which world is played, and what a shared link plays again.
async function follow() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const id = asked.get("world");
  if (id && !worlds.has(id)) toast(`There is no world ${id} here.`, true);
  showWorld(id);
  if (!world || !session.open) return;
  if (!asked.has("play")) return start();
  const picture = asked.get("picture");
  if (picture) session.sendPicture(await pixelsOf(new Blob([Uint8Array.from(atob(picture), (letter) => letter.charCodeAt())])));
  start({
    seed: Number(asked.get("seed")), play: asked.get("play"), temperature: Number(asked.get("temperature") ?? world.temperature),
    upscale: world.upscaler, real: asked.get("real") === "true" && world.real, picture: Boolean(picture),
  });
}

session.addEventListener("started", ({ detail }) => {
  playing = detail;
  times.length = 0;
  $("seed").value = detail.seed;
  $("use-real").checked = detail.real;
  setTemperature(detail.temperature);
  controls.tellAgain();
});
session.addEventListener("starting", () => {
  $("message").textContent = "Loading…";
  $("message").hidden = false;
});
session.addEventListener("open", () => {
  $("connection").textContent = "connected";
  $("connection").classList.add("on");
  session.say("choose", { heat: $("show-heat").checked });
  follow();
});
session.addEventListener("closed", ({ detail }) => {
  $("connection").textContent = "connecting";
  $("connection").classList.remove("on");
  $("message").textContent = "The connection was lost. Waiting for the server…";
  $("message").hidden = false;
  if (detail.reason) toast(detail.reason, true);
});
session.addEventListener("paused", ({ detail: { on } }) => {
  setPaused(on);
  $("message").textContent = on ? `Paused at step ${$("dream").dataset.step}.` : "";
  $("message").hidden = !on;
});
session.addEventListener("recording", ({ detail }) => setRecording(detail.steps));
session.addEventListener("notice", ({ detail }) => toast(detail.text));
session.addEventListener("recorded", ({ detail }) => toast(detail.text));
session.addEventListener("error", ({ detail }) => {
  if (!playing) $("message").hidden = true;
  toast(detail.text, true);
});
session.addEventListener("shared", ({ detail }) => {
  const { type, idle, upscale, picture, ...link } = detail;
  const asked = new URLSearchParams({ ...link, ...(picture ? { picture } : {}) });
  const address = `${location.origin}/#${asked}`;
  $("share").dataset.link = address;
  navigator.clipboard?.writeText(address).then(
    () => toast("The link is copied: it plays this dream again from its seed and actions."),
    () => toast(address),
  );
  if (!navigator.clipboard) toast(address);
});

// -- Buttons --------------------------------------------------------------------------------------------------------

const actions = {
  restart: () => start(),
  pause: () => session.say("pause", { on: !paused }),
  step: () => session.say("step"),
  record: () => session.say("record", { on: !recording }),
  share: () => session.say("share"),
};
for (const [id, action] of Object.entries(actions)) $(id).onclick = () => (action(), $(id).blur());

let rewinding = null;
function rewind(on) {
  clearInterval(rewinding);
  rewinding = null;
  if (!on) return;
  session.say("rewind");
  rewinding = setInterval(() => session.say("rewind"), REWIND_EVERY);
}
$("rewind").onpointerdown = () => rewind(true);
for (const event of ["pointerup", "pointerleave", "pointercancel"]) $("rewind").addEventListener(event, () => rewind(false));

const shortcuts = { Enter: actions.restart, p: actions.pause, ".": actions.step };
addEventListener("keydown", (event) => {
  const elsewhere = !world || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox], [type=range]), select");
  if (elsewhere || controls.has(event.key)) return;
  if (event.key === "Backspace" && !event.repeat) rewind(true);
  else if (shortcuts[event.key] && !event.repeat) shortcuts[event.key]();
  else if (event.key !== "Backspace") return;
  event.preventDefault();
});
addEventListener("keyup", (event) => event.key === "Backspace" && rewind(false));
addEventListener("blur", () => rewind(false));
document.addEventListener("visibilitychange", () => document.hidden && world && session.say("pause", { on: true }));

$("show-heat").onchange = ({ target }) => {
  session.say("choose", { heat: target.checked });
  $("heat").hidden = !target.checked;
};
$("show-plots").onchange = ({ target }) => ($("plots").hidden = !target.checked);
$("use-upscaler").onchange = ({ target }) => session.say("choose", { upscale: target.checked });
$("use-real").onchange = () => start();
$("temperature").oninput = ({ target }) => {
  setTemperature(target.value);
  session.say("choose", { temperature: Number(target.value) });
};
$("seed").onchange = ({ target }) => {
  const seed = Number(target.value);
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) start({ seed });
  target.blur();
};
for (const box of document.querySelectorAll("#settings input")) box.addEventListener("change", () => box.blur());
$("world").onchange = ({ target }) => (location.hash = new URLSearchParams({ world: target.value }), target.blur());
addEventListener("hashchange", follow);

// -- Pictures -------------------------------------------------------------------------------------------------------

async function beginFrom(file) {
  if (!world || !file?.type.startsWith("image/")) return toast("That is no picture.", true);
  try {
    session.sendPicture(await pixelsOf(file));
    start({ picture: true });
  } catch {
    toast("That picture cannot be read.", true);
  }
}
$("choose-picture").onclick = () => $("picture").click();
$("picture").onchange = ({ target }) => (beginFrom(target.files[0]), (target.value = ""));
addEventListener("paste", ({ clipboardData }) => {
  const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (world && file) beginFrom(file);
});
addEventListener("dragover", (event) => (event.preventDefault(), ($("drop").hidden = !world)));
addEventListener("dragleave", (event) => event.relatedTarget || ($("drop").hidden = true));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").hidden = true;
  if (world) beginFrom(event.dataTransfer.files[0]);
});

// -- Opening the page -----------------------------------------------------------------------------------------------

function card({ id, title, system, preset, upscaler }, several, frames) {
  const link = document.createElement("a");
  link.className = "world";
  link.href = `#${new URLSearchParams({ world: id })}`;
  const thumb = Object.assign(document.createElement("div"), { className: "thumb" });
  const picture = Object.assign(document.createElement("img"), { alt: "", loading: "lazy", src: `/api/worlds/${encodeURIComponent(id)}/preview.png` });
  picture.style.animationTimingFunction = `steps(${frames})`;
  thumb.append(picture);
  const about = document.createElement("div");
  about.append(
    Object.assign(document.createElement("b"), { textContent: several ? id : title }),
    Object.assign(document.createElement("small"), { textContent: [system, preset, upscaler ? "upscaler" : ""].filter(Boolean).join(" · ") }),
  );
  link.append(thumb, about);
  return link;
}

async function open() {
  const found = await (await openApi("/api/worlds")).json();
  worlds = new Map(found.worlds.map((one) => [one.id, one]));
  const several = (title) => found.worlds.filter((one) => one.title === title).length > 1;
  $("worlds").replaceChildren(...found.worlds.map((one) => card(one, several(one.title), found.preview_frames)));
  $("world").replaceChildren(...found.worlds.map(({ id, title }) => new Option(several(title) ? id : title, id)));
  showWorld(new URLSearchParams(location.hash.slice(1)).get("world"));
  session.connect();
}

open();
