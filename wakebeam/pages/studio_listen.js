ROOMS.listen = (() => {
  const SHOWN_S = 30, LOWEST = -6, HIGHEST = 15;
  let microphone = null, visit = 0, detector = {}, scores = [], found = [], beganAt = 0;
  const oddsOf = (p) => Math.max(LOWEST, Math.min(HIGHEST, Math.log(Math.max(p, 1e-9) / Math.max(1 - p, 1e-9))));

  function draw() {
    const canvas = byId("listen-scores"), pen = canvas.getContext("2d"), now = scores.length ? scores[scores.length - 1].time_s : 0;
    const x = (time) => canvas.width * (1 - (now - time) / SHOWN_S), y = (odds) => canvas.height * (HIGHEST - odds) / (HIGHEST - LOWEST);
    const colour = getComputedStyle(document.body).color;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.font = "20px system-ui";
    pen.fillStyle = colour;
    for (const odds of [-5, 0, 5, 10]) {
      pen.globalAlpha = 0.3;
      pen.fillRect(0, y(odds), canvas.width, 1);
      pen.globalAlpha = 1;
      pen.fillText(odds, 4, y(odds) - 4);
    }
    detector.labels.forEach((label, i) => {
      pen.strokeStyle = COLOURS[(i + 1) % COLOURS.length];
      pen.lineWidth = 3;
      pen.beginPath();
      scores.forEach((one, k) => pen[k ? "lineTo" : "moveTo"](x(one.time_s), y(oddsOf(one.scores[i]))));
      pen.stroke();
    });
    pen.fillStyle = colour;
    if (detector.threshold) pen.fillRect(0, y(oddsOf(detector.threshold)), canvas.width, 1.5);
    for (const one of found) {
      pen.fillStyle = "#009e73";
      pen.fillRect(x(one.at), 0, 4, canvas.height);
      pen.fillStyle = colour;
      pen.fillText(one.label, x(one.at) + 8, 22);
    }
  }

  function told(message) {
    if (message.error) trouble(message.error);
    if (message.lost_s) byId("listen-status").textContent = `${message.lost_s} s of sound were lost: the machine is too slow`;
    if (message.scores) {
      scores.push(message);
      scores = scores.filter((one) => one.time_s > message.time_s - SHOWN_S);
      found = found.filter((one) => one.at > message.time_s - SHOWN_S);
      draw();
    }
    if (message.found) {
      const at = message.found.time_s === undefined ? message.found.offset_s : message.found.time_s;
      const late = (performance.now() - microphone.at) / 1000 + microphone.sent / microphone.rate - at;
      found.push({ at, label: message.found.label });
      byId("listen-found").prepend(make("li", { textContent: `${at.toFixed(2)} s · ${message.found.label} · score ${message.found.score} · told ${Math.max(0, 1000 * late).toFixed(0)} ms later` }));
      draw();
    }
  }

  const working = (yes) => {
    byId("listen-start").disabled = yes || !detector.labels;
    byId("listen-stop").disabled = !yes;
    if (!yes) byId("listen-level").value = -60;
  };

  byId("listen-start").addEventListener("click", async () => {
    const visited = visit;
    trouble("");
    working(true);
    scores = [];
    found = [];
    try {
      microphone = await openMicrophone("socket/listen", {}, () => visit !== visited, told, (why) => {
        microphone = null;
        working(false);
        byId("listen-status").textContent = "stopped";
        if (why) trouble(why);
      }, (samples) => { byId("listen-level").value = levelOf(samples); });
      if (microphone) byId("listen-status").textContent = "listening";
    } catch (error) {
      working(false);
      trouble(whyNoMicrophone(error));
    }
  });
  byId("listen-stop").addEventListener("click", () => microphone && microphone.close());
  return {
    enter: async () => {
      const visited = visit;
      try { detector = await ask("api/detector"); } catch (error) { trouble(error.message); return; }
      if (visit !== visited) return;
      byId("listen-about").textContent = detector.labels ? `${detector.name}: ${detector.labels.join(", ")}; scores in log odds over ${SHOWN_S} s, the line is the threshold`
        : "no detector: start the studio with --model EXPORT";
      working(false);
      if (detector.labels) draw();
    },
    leave: () => { visit += 1; if (microphone) microphone.close(); },
  };
})();
