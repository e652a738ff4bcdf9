// Drawing: pictures, the heat map, and running plots.

const SHOWN = 150; // steps of a plot
const SHARP = 128; // pictures of fewer pixels are shown as pixels

export function drawPicture(canvas, picture) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.classList.toggle("smooth", picture.width >= SHARP);
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
}

// `levels` has a byte for each token, row by row; complete uncertainty is 255.
export function drawHeat(canvas, levels) {
  const side = Math.round(Math.sqrt(levels.length));
  if (!side) return;
  [canvas.width, canvas.height] = [side, side];
  const image = new ImageData(side, side);
  levels.forEach((level, token) => image.data.set([255, 200 - 0.6 * level, 40, 0.8 * level], 4 * token));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export class Plot {
  #values = []; // by step; what comes after a step is forgotten when it comes again

  constructor(canvas, output, colour, { low, high, digits }) {
    Object.assign(this, { canvas, output, colour, low, high, digits });
  }

  put(step, value) {
    this.#values.length = step;
    this.#values[step] = value;
    this.output.textContent = value === null ? "" : value.toFixed(this.digits);
    this.#draw();
  }

  #draw() {
    const { canvas } = this, scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    [canvas.width, canvas.height] = [width * scale, height * scale];
    const paper = canvas.getContext("2d");
    paper.scale(scale, scale);
    const values = this.#values.slice(-SHOWN);
    const low = Math.min(this.low, ...values.filter(Number.isFinite)), high = Math.max(this.high, ...values.filter(Number.isFinite));
    const y = (value) => height - 3 - ((height - 6) * (value - low)) / (high - low);
    paper.strokeStyle = "#2a303c";
    paper.beginPath();
    paper.moveTo(0, y(0));
    paper.lineTo(width, y(0));
    paper.stroke();
    paper.strokeStyle = this.colour;
    paper.lineWidth = 1.5;
    paper.beginPath();
    values.forEach((value, i) => Number.isFinite(value) && paper.lineTo((i * width) / (SHOWN - 1), y(value)));
    paper.stroke();
  }
}

// The pixels of a picture file, at most `side` wide and high: an ImageData.
export async function pixelsOf(file, side = 512) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * scale)), height = Math.max(1, Math.round(picture.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const paper = canvas.getContext("2d");
  paper.imageSmoothingQuality = "high";
  paper.drawImage(picture, 0, 0, width, height);
  return paper.getImageData(0, 0, width, height);
}
