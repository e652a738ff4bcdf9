// The annotation of games: clips of each button beside doing nothing, and the labels of a row of RetroAct's table.

import { Loop } from "./clips.js";
import { openApi } from "./token.js";

const $ = (id) => document.getElementById(id);
const LABELS = ["view", "motion", "genre", "camera"];
const FLAGS = ["blinking", "delayed"];
const TITLES = { ACTION_PRIMARY: "main button", ACTION_SECONDARY: "second button", RIGHT: "right", LEFT: "left", UP: "up", DOWN: "down" };

const loop = new Loop();
const inputs = {}; // of each label, by column
let about, game, shown = null;

const of = (name, path = "") => `/api/annotate/games/${encodeURIComponent(name)}${path}`;
const make = (tag, properties, ...parts) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...parts);
  return element;
};

// -- The form ---------------------------------------------------------------------------------------------------------

function textInput(column) {
  inputs[column] = make("input", { type: "text", required: true, maxLength: 40, autocomplete: "off" });
  inputs[column].setAttribute("list", `words-${column}`);
  inputs[column].setAttribute("aria-label", TITLES[column] ?? column);
  inputs[column].name = column;
  const words = make("datalist", { id: `words-${column}` }, ...about.words[column].map((word) => new Option(word)));
  return [inputs[column], words];
}

function buildForm() {
  for (const button of about.buttons) {
    const pair = ["NOOP", button].map((held) => make("div", { className: "screen" }, make("canvas", { width: 160, height: 160, id: `${button}-${held === "NOOP" ? "nothing" : "held"}` })));
    $("buttons").append(make("figure", { id: `figure-${button}` }, make("div", { className: "pair" }, ...pair), make("label", {}, TITLES[button], ...textInput(button))));
  }
  for (const column of LABELS) $("labels").append(make("label", {}, column, ...textInput(column)));
  for (const column of FLAGS) {
    inputs[column] = make("input", { type: "checkbox", name: column });
    $("labels").append(make("label", { className: "row" }, inputs[column], column));
  }
}

function fill(row) {
  for (const button of about.buttons) inputs[button].value = row.effects[button];
  for (const column of LABELS) inputs[column].value = row[column];
  for (const column of FLAGS) inputs[column].checked = row[column];
}

function rowOfForm() {
  const row = { game, effects: {} };
  for (const button of about.buttons) row.effects[button] = inputs[button].value;
  for (const column of LABELS) row[column] = inputs[column].value;
  for (const column of FLAGS) row[column] = inputs[column].checked;
  return row;
}

// -- Games ------------------------------------------------------------------------------------------------------------

async function open(name) {
  [game, shown] = [name, null];
  $("game").value = name;
  $("row").hidden = true;
  showProgress();
  say(`Trying the buttons of ${name}…`);
  delete document.body.dataset.shown;
  const answer = await fetch(of(name));
  const found = await answer.json();
  if (game !== name) return; // another one was chosen in the meantime
  if (!answer.ok) return say(`${name}: ${found.error}`);
  shown = found;
  fill(found.saved ?? found.proposed);
  for (const button of about.buttons) $(`figure-${button}`).classList.toggle("absent", !found.pressed.includes(button));
  const clips = found.pressed.flatMap((button) => [[$(`${button}-nothing`), of(name, "/NOOP.png")], [$(`${button}-held`), of(name, `/${button}.png`)]]);
  await loop.show(clips, found.frames, found.fps);
  if (game !== name) return;
  say("");
  $("row").hidden = false;
  inputs[about.buttons[0]].focus();
  document.body.dataset.shown = name;
  fetch(of(neighbour(1))); // is tried while this one is looked at
}

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

function showProgress() {
  const done = about.games.filter((one) => one.done).length;
  $("progress").textContent = `${done} of ${about.games.length} annotated`;
  [...$("game").options].forEach((option, i) => (option.textContent = `${about.games[i].done ? "✓ " : ""}${option.value}`));
}

function neighbour(by) {
  const names = about.games.map(({ name }) => name), place = names.indexOf(game) + by;
  return names[(place + names.length) % names.length];
}

async function save(event) {
  event.preventDefault();
  if (!shown) return;
  const answer = await fetch(of(game), { method: "PUT", body: JSON.stringify(rowOfForm()) }).catch(() => null);
  if (!answer?.ok) return toast(answer ? (await answer.json()).error : "The server cannot be reached; nothing is saved. Save again.");
  $("toast").hidden = true;
  about.games.find(({ name }) => name === game).done = true;
  open(neighbour(1));
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").className = "error";
  $("toast").hidden = false;
}

async function start() {
  about = await (await openApi("/api/annotate")).json();
  $("game").replaceChildren(...about.games.map(({ name }) => new Option(name, name)));
  buildForm();
  $("row").onsubmit = save;
  $("game").onchange = ({ target }) => open(target.value);
  $("before").onclick = () => open(neighbour(-1));
  $("after").onclick = () => open(neighbour(1));
  $("probe").onclick = () => shown && fill(shown.proposed);
  addEventListener("keydown", (event) => {
    const action = { PageUp: "before", PageDown: "after", Escape: "probe" }[event.key];
    if (!action) return;
    event.preventDefault();
    $(action).click();
  });
  open((about.games.find((one) => !one.done) ?? about.games[0]).name);
}

start();
