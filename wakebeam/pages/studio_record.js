ROOMS.record = (() => {
  let microphone = null, visit = 0;

  const working = (yes, takes = true) => {
    byId("record-quit").disabled = !yes;
    byId("record-stop").disabled = byId("record-undo").disabled = !(yes && takes);
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
      for (const line of [...byId("record-takes").children]) if ((message.gone || []).includes(line.dataset.take)) line.remove();
      const line = make("li", { textContent: message.verdict });
      line.dataset.take = message.take;
      if (message.take) {
        const audio = make("audio", { controls: true, preload: "none", src: `api/take?${new URLSearchParams({ name: message.take })}` });
        audio.setAttribute("aria-label", `take ${message.take}`);
        line.append(audio);
      }
      byId("record-takes").prepend(line);
    }
    if (message.total && !message.verdict) byId("record-status").textContent = `${message.done} of ${message.total} seconds`;
  }

  async function countDown() {
    for (const second of [3, 2, 1]) {
      byId("record-count").textContent = second;
      await new Promise((done) => setTimeout(done, 700));
    }
    byId("record-count").textContent = "";
  }

  async function begin(more) {
    if (!byId("record").reportValidity()) return;
    const fields = new FormData(byId("record"));
    const visited = visit, left = () => visit !== visited;
    trouble("");
    working(true, "takes" in more);
    try {
      await countDown();
      if (left()) return;
      const asked = Object.fromEntries(["keyword", "speaker", "licence", "consent"].map((name) => [name, fields.get(name)]));
      microphone = await openMicrophone("socket/record", { ...asked, ...more }, left, told, (why) => {
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
  byId("record-quit").addEventListener("click", say("q"));
  return { leave: () => { visit += 1; working(false); if (microphone) microphone.close(); } };
})();
