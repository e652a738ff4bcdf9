// The connection to the server: what is said over it, and coming back when it was lost.

const FIRST_PAUSE = 500, LONGEST_PAUSE = 8000; // ms before the next attempt

export class Session extends EventTarget {
  #socket = null;
  #pause = FIRST_PAUSE;
  #order = Promise.resolve(); // what comes is shown in the order in which it came

  // `draw(header, dream, real, heat)` shows a frame; it is acknowledged afterwards.
  constructor(draw) {
    super();
    this.draw = draw;
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/play`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#pause = FIRST_PAUSE;
      this.#emit("open");
    };
    socket.onmessage = ({ data }) => {
      this.#order = this.#order.then(() => this.#take(data)).catch((error) => console.error(error));
    };
    socket.onclose = ({ reason }) => {
      this.#emit("closed", { reason });
      setTimeout(() => this.connect(), this.#pause);
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    };
    this.#socket = socket;
  }

  say(type, content = {}) {
    if (this.open) this.#socket.send(JSON.stringify({ type, ...content }));
  }

  // Send a picture, an ImageData, from which a start may begin.
  sendPicture({ width, height, data }) {
    const bytes = new Uint8Array(4 + data.length);
    new DataView(bytes.buffer).setUint16(0, width);
    new DataView(bytes.buffer).setUint16(2, height);
    bytes.set(data, 4);
    if (this.open) this.#socket.send(bytes);
  }

  async #take(data) {
    if (typeof data === "string") {
      const said = JSON.parse(data);
      this.#emit(said.type, said);
    } else await this.#show(data);
  }

  async #show(data) {
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    let offset = 4 + length;
    const [dream, real, heat] = header.parts.map((size) => new Uint8Array(data, (offset += size) - size, size));
    await this.draw(header, await bitmap(dream), await bitmap(real), heat);
    this.say("ack", { frame: header.frame });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

async function bitmap(png) {
  return png.length ? createImageBitmap(new Blob([png], { type: "image/png" })) : null;
}
