// Clips that loop together: each is a PNG of frames below one another, and all show the same frame at the same time.

const LAST = 600; // ms for which the last frame stays

export class Loop {
  #clips = []; // of canvas and picture
  #began = 0;
  #frames = 1;
  #fps = 15;
  #shown = -1; // the frame that is drawn

  constructor() {
    const tick = (now) => (this.#draw(now), requestAnimationFrame(tick));
    requestAnimationFrame(tick);
  }

  // Show clips, pairs of a canvas and the address of its PNG, from their first frames on.
  async show(clips, frames, fps) {
    this.#clips = [];
    const strips = new Map([...new Set(clips.map(([, address]) => address))].map((address) => [address, picture(address)]));
    const loaded = await Promise.all(clips.map(async ([canvas, address]) => [canvas, await strips.get(address)]));
    for (const [canvas, strip] of loaded) Object.assign(canvas, { width: strip.width, height: strip.height / frames });
    [this.#frames, this.#fps, this.#clips] = [frames, fps, loaded];
    this.restart();
  }

  restart() {
    this.#began = performance.now();
    this.#shown = -1;
  }

  #draw(now) {
    const whole = (1000 * this.#frames) / this.#fps + LAST;
    const frame = Math.min(this.#frames - 1, Math.floor((((now - this.#began + whole) % whole) * this.#fps) / 1000));
    if (frame === this.#shown) return;
    this.#shown = frame;
    for (const [canvas, strip] of this.#clips) {
      const { width, height } = canvas;
      canvas.getContext("2d").drawImage(strip, 0, frame * height, width, height, 0, 0, width, height);
      canvas.dataset.frame = frame;
    }
  }
}

async function picture(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return createImageBitmap(await answer.blob());
}
