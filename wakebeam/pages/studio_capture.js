// In the audio thread: float samples to packets of int16, channels interleaved.
const PACKET = 2048;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.held = [];
    this.count = 0;
  }

  process([channels]) {
    if (!channels.length) return true;
    const length = channels[0].length, packet = new Int16Array(length * channels.length);
    channels.forEach((samples, c) => samples.forEach((x, i) => {
      packet[i * channels.length + c] = Math.max(-32768, Math.min(32767, Math.round(32768 * x)));
    }));
    this.held.push(packet);
    this.count += length;
    if (this.count >= PACKET) {
      const whole = new Int16Array(this.held.reduce((sum, one) => sum + one.length, 0));
      let at = 0;
      for (const one of this.held) { whole.set(one, at); at += one.length; }
      this.port.postMessage(whole, [whole.buffer]);
      this.held = [];
      this.count = 0;
    }
    return true;
  }
}

registerProcessor("capture", Capture);
