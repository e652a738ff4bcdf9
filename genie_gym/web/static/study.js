// A participant of a study: pairs of clips, an answer to each by key or button, kept by the server at once.

import { Loop } from "./clips.js";
import { openApi } from "./token.js";

const $ = (id) => document.getElementById(id);
const RETRY = 1000; // ms until an answer that was not taken is sent again
const KINDS = {
  rate: {
    task: "You will see two short clips of a game side by side. Please say how alike they are, from 1, not at all, to 5, the same.",
    question: () => "How alike are these clips?",
    answers: [[1, "1", "not at all"], [2, "2", "a little"], [3, "3", "partly"], [4, "4", "very"], [5, "5", "the same"]],
  },
  choose: {
    task: "You will see two short clips that begin with the same picture of a game, and the name of an action. Please say in which of them the player carries it out.",
    question: (action) => `In which clip does the player do “${action}”?`,
    answers: [["left", "ArrowLeft", "left"], ["neither", "ArrowDown", "no difference"], ["right", "ArrowRight", "right"]],
  },
};
const SIGNS = { ArrowLeft: "←", ArrowDown: "↓", ArrowRight: "→" };

const loop = new Loop();
let study, rater, answers = [], place = 0, since = 0, busy = false;

const of = (path = "") => `/api/study/raters/${encodeURIComponent(rater)}${path}`;

function show(id) {
  for (const one of ["begin", "judge", "done"]) $(one).hidden = one !== id;
}

// -- Pairs ------------------------------------------------------------------------------------------------------------

async function showPair() {
  $("progress").textContent = `${answers.filter((one) => one !== null).length} of ${study.pairs} answered`;
  document.body.dataset.place = place;
  if (place >= study.pairs) return show("done");
  show("judge");
  const pair = `/pairs/${place}`;
  const about = await insist(() => fetch(of(pair)));
  $("question").textContent = KINDS[study.kind].question((await about.json()).action);
  for (const button of $("answers").children) button.setAttribute("aria-pressed", button.dataset.answer === String(answers[place]));
  await insist(() => loop.show(["left", "right"].map((side) => [$(side), of(`${pair}/${side}.png`)]), study.frames, study.fps));
  since = performance.now();
  document.body.dataset.shown = place;
}

// Do what may fail while the server is away, until it succeeds.
async function insist(request) {
  for (;;) {
    try {
      const answer = await request();
      if (answer && !answer.ok) throw new Error((await answer.json()).error);
      $("trouble").hidden = true;
      return answer;
    } catch (error) {
      $("trouble").textContent = `The server cannot be reached or refuses (${error.message}). Trying again…`;
      $("trouble").hidden = false;
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

async function giveAnswer(answer) {
  if (busy || $("judge").hidden || document.body.dataset.shown !== String(place)) return;
  busy = true;
  const body = JSON.stringify({ answer, seconds: (performance.now() - since) / 1000 });
  await insist(() => fetch(of(`/pairs/${place}`), { method: "PUT", body }));
  answers[place] = answer;
  await go(next());
  busy = false;
}

// The pair after this one that has no answer; the end if all have one.
function next() {
  const open = answers.findIndex((one, i) => one === null && i > place);
  const first = open >= 0 ? open : answers.indexOf(null);
  return first >= 0 ? first : study.pairs;
}

async function go(to) {
  place = to;
  await showPair();
}

async function goBack() {
  if (busy || place === 0) return;
  busy = true;
  await go(place - 1);
  busy = false;
}

// -- Keys and buttons -------------------------------------------------------------------------------------------------

function listen() {
  const { answers: known } = KINDS[study.kind];
  for (const [answer, key, name] of known) {
    const button = document.createElement("button");
    button.dataset.answer = answer;
    button.append(Object.assign(document.createElement("kbd"), { textContent: SIGNS[key] ?? key }));
    button.append(Object.assign(document.createElement("span"), { textContent: name }));
    button.onclick = () => (button.blur(), giveAnswer(answer));
    $("answers").append(button);
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input")) return;
    const found = known.find(([, key]) => key === event.key);
    if (found) giveAnswer(found[0]);
    else if (event.key === "Backspace") goBack();
    else if (event.key === " ") loop.restart();
    else return;
    event.preventDefault();
  });
}

async function begin(name) {
  rater = name;
  localStorage.setItem(`study ${study.id}`, name);
  ({ answers } = await (await insist(() => fetch(of()))).json());
  place = -1;
  await go(next());
}

async function open() {
  study = await (await openApi("/api/study")).json();
  $("task").textContent = KINDS[study.kind].task;
  listen();
  $("another").onclick = () => (localStorage.removeItem(`study ${study.id}`), location.reload());
  const known = localStorage.getItem(`study ${study.id}`);
  if (known) return begin(known);
  show("begin");
  $("rater").value = `participant-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  $("rater").select();
  $("who").onsubmit = (event) => (event.preventDefault(), begin($("rater").value));
}

open();
