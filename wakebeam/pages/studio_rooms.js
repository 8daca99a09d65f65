// One room at a time, by the address after #.
let room = null;

function enter() {
  const name = Object.hasOwn(ROOMS, location.hash.slice(1)) ? location.hash.slice(1) : "record";
  if (room === name) return;
  if (room && ROOMS[room].leave) ROOMS[room].leave();
  room = name;
  for (const other of Object.keys(ROOMS)) byId(`room-${other}`).hidden = other !== name;
  document.querySelectorAll("nav a").forEach((link) => {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  });
  trouble("");
  if (ROOMS[name].enter) ROOMS[name].enter();
}

addEventListener("hashchange", enter);
enter();
