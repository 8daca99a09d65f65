const ROOMS = {};

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

// Asks the server; an answer that isn't good is an Error with its status and body.
async function ask(path, parameters = {}, options = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`, options).catch(() => { throw new Error("the studio doesn't answer"); });
  const body = answer.headers.get("Content-Type").startsWith("application/json") ? await answer.json() : await answer.text();
  if (!answer.ok) throw Object.assign(new Error(body.error || body), { status: answer.status, body });
  return body;
}

// The level of int16 samples in dB re full scale.
const levelOf = (samples) => 10 * Math.log10(samples.reduce((sum, x) => sum + x * x, 0) / samples.length / 32768 ** 2 + 1e-9);

// The microphone's samples as int16 packets into a socket; told hears what comes back, and heard each
// packet. Null if the room was left before all was ready.
async function openMicrophone(path, parameters, left, told, ended, heard = () => {}) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  const context = new AudioContext();
  await context.audioWorklet.addModule("files/studio_capture.js");
  if (left()) {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    return null;
  }
  const channels = Math.min(32, stream.getAudioTracks()[0].getSettings().channelCount || 1);
  const socket = new WebSocket(new URL(`${path}?${new URLSearchParams({ ...parameters, rate: context.sampleRate, channels })}`, location.href.replace("http", "ws")));
  const capture = new AudioWorkletNode(context, "capture", { numberOfInputs: 1, numberOfOutputs: 0, channelCount: channels, channelCountMode: "explicit" });
  const microphone = { sent: 0, rate: context.sampleRate, at: performance.now() };
  capture.port.onmessage = ({ data }) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    microphone.sent += data.length / channels;
    microphone.at = performance.now();
    heard(data);
    socket.send(data.buffer);
  };
  const close = () => {
    stream.getTracks().forEach((track) => track.stop());
    if (context.state !== "closed") context.close();
    socket.close();
  };
  let opened = false;
  socket.onopen = () => {
    opened = true;
    context.createMediaStreamSource(stream).connect(capture);
  };
  socket.onmessage = ({ data }) => told(JSON.parse(data));
  socket.onclose = () => {
    close();
    ended(opened ? "" : "the studio doesn't answer");
  };
  return Object.assign(microphone, { say: (text) => socket.send(text), close });
}

const whyNoMicrophone = (error) => error.name === "NotFoundError" ? "this machine has no microphone"
  : error.name === "NotAllowedError" ? "the browser was not allowed to use the microphone" : error.message;
