// Hookline's one script. Every page works without it; it makes some acts quicker.
(() => {
  "use strict";
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // The theme switch: the form's own answer would do the same, with a page load.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-theme-switch]") || !event.submitter) return;
    event.preventDefault();
    const theme = event.submitter.value;
    fetch(form.action, { method: "POST", body: new URLSearchParams({ theme }) });
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    all("form[data-theme-switch] button").forEach((b) => b.setAttribute("aria-pressed", String(b.value === theme)));
  });

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const source = document.getElementById(copy.dataset.copy);
      const text = "value" in source ? source.value : source.textContent;
      navigator.clipboard.writeText(text).then(() => {
        const label = copy.querySelector("[data-label]");
        const before = label.textContent;
        label.textContent = "Copied";
        setTimeout(() => { label.textContent = before; }, 1500);
      });
      return;
    }
    // A link that leads to a page of questions opens the same questions in place, when they are on the page.
    const opener = event.target.closest("[data-opens]");
    const dialog = opener && document.getElementById(opener.dataset.opens);
    if (dialog) {
      event.preventDefault();
      dialog.showModal();
      return;
    }
    const closer = event.target.closest("[data-closes]");
    if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
      return;
    }
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) {
      event.preventDefault();
      dismiss.closest(".toast, .banner").remove();
      return;
    }
    all("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  // Keys: / searches, j and k walk a list, Enter opens the row, Escape closes a menu.
  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      all("details.menu[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "/") {
      const box = document.querySelector("[data-search]");
      if (box) { event.preventDefault(); box.focus(); box.select(); }
      return;
    }
    if (event.key !== "j" && event.key !== "k") return;
    const rows = all("[data-list] a.open");
    if (rows.length === 0) return;
    const at = rows.findIndex((a) => a === document.activeElement || a.closest("tr")?.contains(document.activeElement));
    const next = event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
    rows[next].focus();
    rows[next].scrollIntoView({ block: "nearest" });
  });

  // A form that gives itself back with each button renews its own part of the page in place, one turn after another and
  // each with what the form then holds; a button that leaves the page (data-leaves) does what it does without script.
  const turns = new WeakMap();
  let refusals = 0;
  const renew = (form, act, why) => {
    const turn = turns.get(form) || { last: Promise.resolve(), typed: false };
    turns.set(form, turn);
    if (why === "typed") {
      if (turn.typed) return turn.last;
      turn.typed = true;
    }
    turn.last = turn.last.then(async () => {
      if (why === "typed") turn.typed = false;
      if (!form.isConnected) return;
      const part = form.dataset.renews, focused = document.activeElement?.id, otherwise = document.activeElement?.dataset.else;
      const chip = why === "typed" ? null : document.activeElement?.closest("[data-chip]"), was = chip?.value;
      await htmx.ajax("POST", form.action, { source: form, target: part, select: part, selectOOB: "#toasts", swap: "outerMorph", values: act });
      if (chip && chip.value === was) chip.value = "";
      if (focused && document.activeElement === document.body) (document.getElementById(focused) || document.getElementById(otherwise))?.focus({ preventScroll: true });
    });
    return turn.last;
  };
  document.addEventListener("submit", (event) => {
    const form = event.target, by = event.submitter;
    if (!form.matches("form[data-renews]") || by?.matches("[data-leaves]")) return;
    event.preventDefault();
    const menu = form.closest("details.menu");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
    renew(form, by?.name ? { [by.name]: by.value } : {}, "pressed");
  });

  // A list whose rows can be dragged by their grip, with the pointer; the buttons of a row move it by keys. Escape puts it back.
  document.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-grip]"), row = grip?.closest("li"), list = row?.closest("[data-sortable]");
    if (!list || event.button !== 0) return;
    event.preventDefault();
    const rows = () => all(":scope > li:has([data-grip])", list), home = row.nextSibling, from = rows().indexOf(row);
    const end = (drop) => {
      row.classList.remove("dragged");
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", up);
      document.removeEventListener("pointercancel", cancel);
      document.removeEventListener("keydown", key, true);
      const to = rows().indexOf(row);
      if (!drop) list.insertBefore(row, home);
      else if (to !== from) {
        const before = refusals;
        renew(row.querySelector("form[data-renews]"), { to: String(to + 1) }, "pressed").then(() => { if (refusals > before) list.insertBefore(row, home); });
      }
    };
    const move = (e) => {
      const over = rows().find((r) => { const box = r.getBoundingClientRect(); return r !== row && e.clientY >= box.top && e.clientY < box.bottom; });
      if (!over) return;
      const box = over.getBoundingClientRect(), below = rows().indexOf(over) > rows().indexOf(row);
      if (below ? e.clientY > box.top + box.height / 2 : e.clientY < box.top + box.height / 2) list.insertBefore(row, below ? over.nextSibling : over);
    };
    const up = () => end(true), cancel = () => end(false);
    const key = (e) => { if (e.key === "Escape") { e.preventDefault(); end(false); } };
    row.classList.add("dragged");
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", up);
    document.addEventListener("pointercancel", cancel);
    document.addEventListener("keydown", key, true);
  });

  let pause = 0;
  const typed = (event) => {
    const form = event.target.closest("form[data-renews][data-follows]");
    if (!form) return;
    clearTimeout(pause);
    pause = setTimeout(() => renew(form, { act: "preview" }, "typed"), event.type === "change" ? 0 : 400);
  };
  document.addEventListener("input", typed);
  document.addEventListener("change", typed);

  // Relative times, once a minute; the server wrote the first ones in the same words.
  const relative = (seconds) => {
    if (seconds < 10) return "just now";
    if (seconds < 60) return Math.floor(seconds) + " s ago";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
    if (seconds < 86400) return Math.floor(seconds / 3600) + " h ago";
    return null;
  };
  const refresh = () => all("time[data-relative]").forEach((t) => {
    const words = relative((Date.now() - Date.parse(t.dateTime)) / 1000);
    if (words) t.textContent = words;
  });
  setInterval(refresh, 15000);

  // The browser knows its time zone and country: choose them in a form that nobody has filled yet.
  const guess = (root) => all("select[data-guess]", root).forEach((select) => {
    const value = select.dataset.guess === "zone"
      ? Intl.DateTimeFormat().resolvedOptions().timeZone
      : new Intl.Locale(navigator.language).region;
    if (value && all("option", select).some((o) => o.value === value)) select.value = value;
    delete select.dataset.guess;
  });

  // A toast leaves by itself, unless somebody is on it.
  const fade = (root) => all(".toast", root).forEach((toast) => {
    const leave = () => { toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove(); };
    setTimeout(leave, 6000);
  });

  // What a person asked for and did not get: what stands on the page stays, and a toast says why, once.
  const refuse = (text) => {
    refusals++;
    const toasts = document.getElementById("toasts");
    if (all("span", toasts).some((said) => said.textContent === text)) return;
    const toast = document.createElement("div"), says = document.createElement("span"), dismiss = document.createElement("button");
    toast.className = "toast";
    toast.setAttribute("role", "status");
    says.textContent = text;
    Object.assign(dismiss, { type: "button", className: "btn btn-quiet btn-small", textContent: "Dismiss" });
    dismiss.dataset.dismiss = "";
    toast.append(says, dismiss);
    toasts.append(toast);
    fade(toasts);
  };
  // An error page is no part of this one. What renews itself unasked tries again by itself.
  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx } = event.detail;
    const page = ctx.response?.status >= 400 && new DOMParser().parseFromString(ctx.text, "text/html").querySelector("[data-problem]");
    if (!page) return;
    event.preventDefault();
    if (ctx.request.method !== "GET") refuse(all("p", page).map((p) => p.textContent.trim().replace(/\s+/g, " ")).join(" "));
  });
  document.addEventListener("htmx:error", (event) => {
    if (event.detail.ctx?.request.method === "POST" && !event.detail.ctx.response) refuse("Hookline cannot be reached just now. What you did last may not be kept; what you typed still stands here.");
  });

  // "Select all" boxes, and the count beside the act.
  document.addEventListener("change", (event) => {
    const box = event.target;
    const list = box.closest("[data-select]");
    if (!list || box.type !== "checkbox") return;
    const each = all("input[data-each]", list);
    if ("all" in box.dataset) each.forEach((b) => { b.checked = box.checked; });
    const count = each.filter((b) => b.checked).length;
    all("[data-selected]", list).forEach((out) => { out.textContent = String(count); });
    all("[data-when-selected]", list).forEach((part) => { part.hidden = count === 0; });
  });

  // A list that renews itself when the stream says that calls changed. While the pointer, the focus or a selection is
  // on it, or it is scrolled away, its rows stay where they are: new ones wait behind a bar.
  let renewal = 0;
  document.addEventListener("calls", () => {
    renewal ||= setTimeout(() => {
      renewal = 0;
      const list = document.querySelector("[data-live]");
      if (!list) return;
      const busy = list.matches(":hover, :focus-within") || list.querySelector("input:checked, .fresh") || scrollY > 200;
      htmx.ajax("GET", busy ? list.dataset.quiet : list.dataset.live, { target: list, swap: "outerMorph" });
    }, 250);
  });

  guess(document);
  fade(document);
  document.addEventListener("htmx:after:swap", () => { fade(document); refresh(); });
})();
