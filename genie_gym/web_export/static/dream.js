// A rollout of a world model: its step is an ONNX graph that takes the state and gives the next one.

import * as ort from "./ort.wasm.min.mjs";
import { uniform } from "./random.js";

ort.env.wasm.numThreads = 1; // more need headers that a static web server does not send
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;

const ARRAYS = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array };
const NEXT = "next.";

const zeros = ([type, ...shape]) =>
  new ort.Tensor(type, new ARRAYS[type](shape.reduce((size, side) => size * side, 1)), shape);
const integers = (values, shape) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);

export class Dream {
  /** Load the world beside this file. */
  static async load() {
    const at = (name) => new URL(name, import.meta.url).href;
    const world = await (await fetch(at("world.json"))).json();
    return new Dream(world, await ort.InferenceSession.create(at("step.onnx")));
  }

  constructor(world, session) {
    Object.assign(this, { world, session, state: null, seed: 0n, steps: 0 });
  }

  /** Begin anew from one of the world's contexts; the same seed and actions give the same dream. Gives its frame. */
  async start(context, seed) {
    const { tokens, actions } = this.world.contexts[context];
    const empty = Object.fromEntries(Object.entries(this.world.state).map(([name, kind]) => [name, zeros(kind)]));
    this.seed = BigInt(seed);
    this.state = empty;
    // There is nothing before the first frame: it is only drawn, and counts as past with the second.
    let { frame } = await this.#run(-1, tokens[0]);
    for (const name of Object.keys(empty)) if (name.startsWith("past.")) this.state[name] = empty[name];
    for (let i = 1; i < tokens.length; i++) ({ frame } = await this.#run(actions[i], tokens[i]));
    this.steps = 0;
    return frame;
  }

  /** Take an action of the game: gives the frame as RGB bytes, the reward, and whether the episode ended. */
  async step(action) {
    const result = await this.#run(this.world.model_actions[action], null);
    this.steps++;
    return result;
  }

  async #run(action, given) {
    const n = this.world.state.tokens.at(-1);
    const count = this.state["past.count"].data[0];
    const results = await this.session.run({
      ...this.state,
      action: integers([action], [1]),
      given: integers(given ?? new Array(n).fill(-1), [1, n]),
      noise: new ort.Tensor("float32", uniform(this.seed, count, this.world.random_numbers), [1, this.world.random_numbers]),
    });
    this.state = Object.fromEntries(Object.keys(this.state).map((name) => [name, results[NEXT + name]]));
    return {
      frame: results.frame.data,
      reward: results.reward.data[0],
      terminationProbability: results.termination_prob.data[0],
      terminated: Boolean(results.terminated.data[0]),
      entropy: results.entropy.data,
    };
  }
}
