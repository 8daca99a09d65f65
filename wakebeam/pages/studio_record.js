ROOMS.record = (() => {
  let microphone = null;
  const controls = ["record-stop", "record-undo", "record-quit"].map(byId);

  const working = (yes) => {
    controls.forEach((button) => { button.disabled = !yes; });
    byId("record-start").disabled = byId("ambient-start").disabled = yes;
    if (!yes) byId("record-level").value = -60;
  };

  function told(message) {
    if (message.error) trouble(message.error);
    if (message.status) byId("record-status").textContent = message.status;
    if (message.level_db !== undefined) {
      byId("record-level").value = message.level_db;
      byId("record-level").classList.toggle("speaks", message.speaks);
    }
    if (message.verdict) {
      const line = make("li", { textContent: message.verdict });
      if (message.take) {
        const audio = make("audio", { controls: true, preload: "none", src: `/api/take?${new URLSearchParams({ name: message.take })}` });
        audio.setAttribute("aria-label", `take ${message.take}`);
        line.append(audio);
      }
      byId("record-takes").prepend(line);
    }
    if (message.total && !message.verdict) byId("record-status").textContent = `${message.done} of ${message.total} seconds`;
  }

  async function countDown() {
    for (const left of [3, 2, 1]) {
      byId("record-count").textContent = left;
      await new Promise((done) => setTimeout(done, 700));
    }
    byId("record-count").textContent = "";
  }

  async function begin(more) {
    if (!byId("record").reportValidity()) return;
    const fields = new FormData(byId("record"));
    trouble("");
    working(true);
    try {
      await countDown();
      const asked = Object.fromEntries(["keyword", "speaker", "licence"].map((name) => [name, fields.get(name)]));
      microphone = await openMicrophone("/socket/record", { ...asked, ...more }, told, (why) => {
        microphone = null;
        working(false);
        if (why) trouble(why);
      });
    } catch (error) {
      working(false);
      trouble(whyNoMicrophone(error));
    }
  }

  byId("record").addEventListener("submit", (event) => {
    event.preventDefault();
    begin({ takes: new FormData(byId("record")).get("takes") });
  });
  byId("ambient").addEventListener("submit", (event) => {
    event.preventDefault();
    begin({ ambient: new FormData(byId("ambient")).get("minutes") });
  });
  const say = (text) => () => microphone && microphone.say(text);
  byId("record-stop").addEventListener("click", say(""));
  byId("record-undo").addEventListener("click", say("u"));
  byId("record-quit").addEventListener("click", () => microphone && (microphone.say("q"), setTimeout(() => microphone && microphone.close(), 500)));
  return { leave: () => microphone && microphone.close() };
})();
