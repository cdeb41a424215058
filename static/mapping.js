// The mapping's script: chips behind the values, a list to choose a value from, rows to find. Everything works without it.
(() => {
  "use strict";
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const placeholder = /\{\{(?:"[^"]*"|'[^']*'|[^"'}]|\}(?!\}))*\}\}/g;
  const element = (tag, attributes, ...children) => {
    const e = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => e.setAttribute(name, value));
    e.append(...children);
    return e;
  };

  // Chips: a copy of the text stands behind the field, and only its placeholders are drawn.
  const draw = (area) => {
    const mirror = area.previousElementSibling;
    const parts = [];
    let at = 0;
    for (const hit of area.value.matchAll(placeholder)) {
      parts.push(area.value.slice(at, hit.index), element("mark", {}, hit[0]));
      at = hit.index + hit[0].length;
    }
    mirror.replaceChildren(...parts, area.value.slice(at) + "\u200b");
    mirror.scrollTop = area.scrollTop;
  };

  // The list: one for the page, opened below the field that it is for.
  const picker = document.getElementById("picker");
  const [box, list, says] = picker.children;
  let open = null; // {options, choose, leave}
  let shown = [];
  let active = -1;

  const activate = (n) => {
    all("[role=option]", list).forEach((o, i) => o.setAttribute("aria-selected", String(i === n)));
    active = n;
    if (n < 0) return box.removeAttribute("aria-activedescendant");
    const option = document.getElementById("pick-" + n);
    box.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };

  const filter = () => {
    const words = box.value.toLowerCase().split(/[\s{}_.]+/).filter(Boolean);
    const rank = (o) => {
      const name = o.name.toLowerCase().replace(/[_.]/g, " ");
      if (!words.every((w) => (name + " " + o.about + " " + o.group).toLowerCase().includes(w))) return -1;
      return words.length && name.startsWith(words[0]) ? 2 : words.every((w) => name.includes(w)) ? 1 : 0;
    };
    shown = open.options.map((o) => [rank(o), o]).filter(([r]) => r >= 0);
    if (words.length) shown.sort(([a], [b]) => b - a);
    shown = shown.map(([, o]) => o);
    const groups = [];
    shown.forEach((o, i) => {
      const option = element("div", { role: "option", id: "pick-" + i, "aria-selected": "false", "data-n": i }, element("b", {}, o.name), " ", element("span", {}, o.about));
      if (o.example) option.append(element("span", { class: "soft" }, "“" + o.example + "”"));
      const heading = words.length ? "Found" : o.group;
      let group = groups.at(-1);
      if (!group || group.getAttribute("aria-label") !== heading) {
        groups.push(group = element("div", { role: "group", "aria-label": heading }, element("span", { class: "group", "aria-hidden": "true" }, heading)));
      }
      group.append(option);
    });
    list.replaceChildren(...groups);
    list.hidden = shown.length === 0;
    box.setAttribute("aria-expanded", String(shown.length > 0));
    says.textContent = shown.length ? "" : "Nothing is called that.";
    activate(shown.length ? 0 : -1);
  };

  const close = (back) => {
    if (!open) return;
    const was = open;
    open = null;
    picker.hidden = true;
    if (back) was.leave(box.value);
  };

  const show = (host, label, options, choose, leave) => {
    close(false);
    open = { options, choose, leave };
    host.append(picker);
    box.value = "";
    box.setAttribute("aria-label", label);
    picker.hidden = false;
    filter();
    box.focus();
    picker.scrollIntoView({ block: "nearest" });
  };

  const choose = (n) => {
    const { choose: use } = open;
    const chosen = shown[n];
    close(false);
    use(chosen);
  };

  picker.addEventListener("input", (event) => {
    event.stopPropagation(); // the form has not changed
    if (open.typed && box.value.includes("}}")) return close(true);
    filter();
  });
  picker.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && shown.length) activate((active + steps[event.key] + shown.length) % shown.length);
    else if (event.key === "Enter") { if (active >= 0) choose(active); }
    else if (event.key === "Escape") close(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  picker.addEventListener("mousedown", (event) => { if (event.target !== box) event.preventDefault(); });
  picker.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(Number(option.dataset.n));
  });
  picker.addEventListener("focusout", (event) => { if (!picker.contains(event.relatedTarget)) close(false); });

  // Values of the call, into a field.
  const values = () => all("#values [data-value]").map((e) => ({
    name: e.dataset.value, group: e.dataset.group, about: e.querySelector("[data-about]").textContent, example: e.querySelector("[data-example]")?.textContent,
  }));
  const write = (area, from, to, text) => {
    area.focus();
    area.setSelectionRange(from, to);
    document.execCommand("insertText", false, text); // keeps the browser's own undo
  };
  const insert = (area, typed) => {
    const to = area.dataset.touched ? area.selectionEnd : area.value.length;
    const from = typed ? to - 2 : area.dataset.touched ? area.selectionStart : to;
    show(area.parentElement, "Find a value to insert", values(),
      (value) => write(area, from, to, "{{ " + value.name + " }}"),
      (rest) => write(area, typed ? to : from, to, typed ? rest : area.value.slice(from, to)));
    open.typed = typed;
  };

  document.addEventListener("input", (event) => {
    const area = event.target;
    if (!area.matches("[data-template] textarea")) return;
    draw(area);
    const at = area.selectionStart;
    if (event.inputType !== "insertText" || area.value.slice(at - 2, at) !== "{{" || area.value[at - 3] === "{") return;
    event.stopPropagation(); // half a placeholder is nothing to look at yet
    insert(area, true);
  }, true);
  document.addEventListener("focusin", (event) => { if (event.target.matches("[data-template] textarea")) event.target.dataset.touched = "1"; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (button) insert(button.closest("[data-row]").querySelector("[data-template] textarea"), false);
  });

  const wire = () => {
    all("[data-template] textarea").forEach((area) => {
      if (area.previousElementSibling) return;
      area.before(element("div", { class: "mirror", "aria-hidden": "true" }));
      area.addEventListener("scroll", () => draw(area));
      draw(area);
    });
    all("[data-insert][hidden]").forEach((b) => { b.hidden = false; });
    // A long select becomes a list with a search box.
    all("select[data-pick]").forEach((select) => {
      const host = select.closest(".addfield");
      const [field, act] = host.children;
      if (field.hidden) return;
      field.hidden = act.hidden = true;
      const button = element("button", { type: "button", class: "btn" }, act.querySelector("svg").cloneNode(true), select.dataset.pick);
      button.addEventListener("click", () => show(host, select.dataset.pick,
        all("option", select).filter((o) => o.value).map((o) => ({ name: o.textContent, value: o.value, about: "", group: o.closest("optgroup")?.label || "Fields" })),
        (option) => { select.value = option.value; act.click(); },
        () => button.focus()));
      host.append(button);
    });
    all("[data-filter][hidden]").forEach((find) => {
      find.hidden = false;
      find.addEventListener("input", (event) => {
        event.stopPropagation();
        const words = find.value.toLowerCase().split(/\s+/);
        all("[data-row]").forEach((row) => { row.hidden = !words.every((w) => row.dataset.words.toLowerCase().includes(w)); });
        all("h3.section").forEach((h) => { h.hidden = all("[data-row]", h.nextElementSibling).every((row) => row.hidden); });
      });
      find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
    });
  };
  wire();
  document.addEventListener("htmx:after:swap", wire);
})();
