// Random numbers as a function of a seed and of how many were drawn: SplitMix64, as genie_gym.world_model.rng.

const GAMMA = 0x9e3779b97f4a7c15n, FIRST = 0xbf58476d1ce4e5b9n, SECOND = 0x94d049bb133111ebn;
const wrapped = (value) => BigInt.asUintN(64, value);

/** Numbers count * number to count * number + number - 1 of a seed's sequence, uniform in [0, 1), as Float32Array. */
export function uniform(seed, count, number) {
  const numbers = new Float32Array(number);
  let state = wrapped(BigInt(seed) + BigInt(count) * BigInt(number) * GAMMA);
  for (let i = 0; i < number; i++) {
    state = wrapped(state + GAMMA);
    let z = wrapped((state ^ (state >> 30n)) * FIRST);
    z = wrapped((z ^ (z >> 27n)) * SECOND);
    numbers[i] = Number((z ^ (z >> 31n)) >> 40n) / 2 ** 24;
  }
  return numbers;
}
