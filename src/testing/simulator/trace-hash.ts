const number = new Float64Array(1);
const words = new Uint32Array(number.buffer);

/** A hash of all that happens in a run, step by step: two runs with the same hash did the same. Two lanes of 32 bits. */
export class TraceHash {
  #one = 0x9e3779b9;
  #other = 0x85ebca6b;

  add(value: number): void {
    number[0] = value;
    this.#mix(words[0] ?? 0);
    this.#mix(words[1] ?? 0);
  }

  addText(text: string): void {
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
  }

  get hex(): string {
    return [this.#one, this.#other].map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #mix(word: number): void {
    this.#one = Math.imul(this.#one ^ word, 0x01000193);
    this.#one ^= this.#one >>> 15;
    this.#other = Math.imul(this.#other + word, 0xc2b2ae35);
    this.#other ^= this.#other >>> 13;
  }
}
