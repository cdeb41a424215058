// Renews what is inside #live and the module tabs when a record or request appears. Without it the page is renewed by reloading.
(() => {
  "use strict";
  let busy = false, again = false;
  const renew = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const id of ["live", "modules"]) {
          const here = document.getElementById(id), there = page.getElementById(id);
          if (here && there && !here.contains(document.activeElement)) here.replaceChildren(...there.childNodes);
        }
      }
    } catch { /* the sandbox is away; the stream reconnects by itself */ }
    busy = false;
    if (again) { again = false; renew(); }
  };
  const events = new EventSource("/events");
  events.addEventListener("open", renew); // what changed before the stream stood
  events.addEventListener("changed", renew);
})();
