// What the pages do beyond links and forms. Everything works without this, except what is marked "needs-script".
"use strict";

const POLL_EVERY = 1000;
const PHASES = {"": "Waiting for a worker", reading: "Reading the report", catalog: "Reading the catalog", findings: "Pulling findings",
  closing: "Closing what is gone", companies: "Pulling companies", matching: "Matching companies with customers", configurations: "Pulling configurations"};
const COUNTED = [["added", "new"], ["changed", "changed"], ["reopened", "reopened"], ["closed", "closed"], ["unchanged", "unchanged"],
  ["pruned", "assets removed"], ["unmapped", "unreadable"],
  ["matched", "matched"], ["created", "new customers"], ["doubtful", "to review"], ["removed", "marked as removed"]];
const number = new Intl.NumberFormat("en");

// -- theme ---------------------------------------------------------------------------------------------------------------

const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;
}

function nameTheme() {
  for (const word of document.querySelectorAll("[data-theme-word]")) word.textContent = isDark() ? "Switch to light" : "Switch to dark";
}

function switchTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // it holds for this page only
  }
  nameTheme();
}

// -- exchanging parts of the page ----------------------------------------------------------------------------------------

async function documentOf(response) {
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// False when the answer lacks one of the parts: it is another page then (an error, the sign-in).
function exchange(fresh, selectors) {
  const pairs = [];
  for (const selector of selectors.split(",")) {
    for (const old of document.querySelectorAll(selector)) {
      const next = fresh.getElementById(old.id);
      if (!next) return false;
      pairs.push([old, next]);
    }
  }
  for (const [old, next] of pairs) old.replaceChildren(...next.childNodes);
  begin();
  return true;
}

function markFaults(form) {
  for (const slot of form.querySelectorAll("[data-slot]")) {
    const input = form.querySelector(`[aria-describedby~="${slot.id}"]`);
    const isFaulty = slot.textContent.trim() !== "";
    if (input) input.toggleAttribute("aria-invalid", isFaulty);
    if (input && isFaulty) input.setAttribute("aria-invalid", "true");
    if (input && isFaulty && input.closest("details")) input.closest("details").open = true;
  }
  form.querySelector('[aria-invalid="true"]')?.focus();
}

// Tells what an error page says without leaving this one.
function complain(fresh) {
  const notice = document.createElement("p");
  notice.className = "notice bad";
  notice.textContent = fresh.querySelector(".failure .lead")?.textContent ?? "That did not work. Please try again.";
  document.getElementById("notice").replaceChildren(notice);
  notice.scrollIntoView({block: "nearest"});
}

async function send(form, button) {
  const label = button?.lastChild;
  const said = label?.textContent;
  const given = new FormData(form, button);
  if (button) button.disabled = true;
  if (button?.dataset.busy) label.textContent = button.dataset.busy;
  try {
    const response = await fetch(button?.getAttribute("formaction") ?? form.action, {method: "POST", body: given});
    const fresh = await documentOf(response);
    const wasSaved = response.redirected && form.id === "settings";
    if (!wasSaved && exchange(fresh, form.dataset.swap)) {
      markFaults(form);
      document.querySelector("[data-comes-up]")?.scrollIntoView({block: "start"});
    } else if (response.redirected) {
      location.assign(response.url);
    } else {
      complain(fresh);
    }
  } catch {
    location.reload(); // the server cannot be reached: the browser says so better than we could
  } finally {
    if (button) button.disabled = false;
    if (label) label.textContent = said;
  }
}

// -- a sync under way ----------------------------------------------------------------------------------------------------

function announce(text) {
  document.getElementById("said").textContent = text;
}

function show(panel, run) {
  const bar = panel.querySelector("progress");
  const phase = PHASES[run.state === "queued" ? "" : run.phase] ?? run.phase;
  if (panel.dataset.phase !== run.phase) announce(phase); // once per phase, not each second
  panel.dataset.phase = run.phase;
  panel.querySelector("[data-run-phase]").textContent = phase;
  panel.querySelector("[data-run-done]").textContent = run.of ? `${number.format(run.done)} of ${number.format(run.of)}` : "";
  if (run.of) Object.assign(bar, {max: run.of, value: run.done});
  else bar.removeAttribute("value");
  panel.querySelector("[data-run-counts]").replaceChildren(...COUNTED.filter(([key]) => run.counts[key]).map(([key, noun]) => {
    const item = document.createElement("li");
    const figure = document.createElement("strong");
    figure.textContent = number.format(run.counts[key]);
    item.append(figure, ` ${noun}`);
    return item;
  }));
}

async function follow(panel) {
  let run = {state: "running"};
  if (panel.dataset.followed) return;
  panel.dataset.followed = "yes";
  while (panel.isConnected) {
    await new Promise((done) => setTimeout(done, POLL_EVERY));
    try {
      const response = await fetch(panel.dataset.run, {headers: {Accept: "application/json"}});
      if (response.status === 401) return location.reload();
      if (!response.ok) continue;
      run = await response.json();
    } catch {
      continue; // the server is away for a moment
    }
    if (run.state !== "queued" && run.state !== "running") break;
    show(panel, run);
  }
  if (!panel.isConnected) return;
  exchange(await documentOf(await fetch(location.href)), "#live");
  announce(`It has ended: ${run.state}`);
}

// -- choosing a customer -------------------------------------------------------------------------------------------------

async function pick(link) {
  const picker = document.getElementById("picker");
  const form = (await documentOf(await fetch(link.href))).getElementById("chooser");
  if (!form) return location.assign(link.href);
  picker.replaceChildren(form);
  picker.showModal();
  form.querySelector("input[type=search]").focus();
}

function narrow(input) {
  const wanted = input.value.trim().toLocaleLowerCase();
  let shown = 0;
  for (const item of document.getElementById(input.dataset.narrows).children) {
    item.hidden = !item.textContent.toLocaleLowerCase().includes(wanted);
    if (!item.hidden) shown += 1;
  }
  input.form.querySelector(".chooser-none").hidden = shown > 0;
}

// -- deciding ------------------------------------------------------------------------------------------------------------

// Tells beside a choice how many findings it concerns; whoever chooses it is asked with the same number once more.
async function tellCount(choice) {
  const slot = choice.closest("label").querySelector("[data-count]");
  if (!slot || slot.textContent) return;
  const asked = {...JSON.parse(choice.dataset.about), verdict: "ignored", dryRun: true};
  const response = await fetch("/api/verdicts", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(asked)});
  if (!response.ok) return; // the next page says it
  const {matched} = await response.json();
  slot.textContent = `${number.format(matched)} ${matched === 1 ? "finding" : "findings"} now, and what comes later`;
}

// Says how many findings of the page are selected.
function tellPicked() {
  const form = document.querySelector("[data-picking]");
  if (!form) return;
  const boxes = [...document.querySelectorAll('[name="finding"][form="chosen"]')];
  const picked = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-picked]").textContent = picked ? `${number.format(picked)} selected` : "Nothing selected";
  form.querySelector("[data-needs-picked]").disabled = !picked;
  const all = document.querySelector("[data-picks-all]");
  all.checked = picked === boxes.length;
  all.indeterminate = picked > 0 && !all.checked;
}

function pickAll(isPicked) {
  for (const box of document.querySelectorAll('[name="finding"][form="chosen"]')) box.checked = isPicked;
  tellPicked();
}

// -- small things --------------------------------------------------------------------------------------------------------

async function copy(button) {
  const source = document.getElementById(button.dataset.copies);
  const label = button.querySelector("span");
  source.select();
  try {
    await navigator.clipboard.writeText(source.value);
    label.textContent = "Copied";
  } catch {
    label.textContent = "Press Ctrl+C"; // browsers give the clipboard to https pages alone; the text is selected
  }
  setTimeout(() => { label.textContent = "Copy"; }, 2000);
}

function toggle(button) {
  const isOpen = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(isOpen));
  document.getElementById(button.dataset.toggles).classList.toggle("is-open", isOpen);
}

function tellLocalTime() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = new Date(time.dateTime).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "long"});
  }
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.account[open]")) {
    if (!menu.contains(except)) menu.open = false;
  }
}

// What a part of the page needs once it is there.
function begin() {
  tellLocalTime();
  const panel = document.querySelector("[data-run]");
  if (panel) follow(panel);
}

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest(selector);
  closeMenus(event.target);
  if (on("[data-theme-switch]")) switchTheme();
  if (on("[data-copies]")) copy(on("[data-copies]"));
  if (on("[data-toggles]")) toggle(on("[data-toggles]"));
  if (on("[data-picker]") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    pick(on("[data-picker]"));
  }
  if (event.target.id === "picker") event.target.close(); // its backdrop
});
document.addEventListener("submit", (event) => {
  if (!event.target.dataset.swap) return;
  event.preventDefault();
  send(event.target, event.submitter);
});
document.addEventListener("change", (event) => {
  if (event.target.dataset.about) tellCount(event.target);
  if ("picksAll" in event.target.dataset) pickAll(event.target.checked);
  if (event.target.name === "finding") tellPicked();
});
document.addEventListener("input", (event) => {
  if (event.target.dataset.narrows) narrow(event.target);
  if (event.target.dataset.chooses) document.getElementById(event.target.dataset.chooses).checked = true; // who fills it in means it
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.account[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
prefersDark.addEventListener("change", nameTheme);
addEventListener("pageshow", tellPicked); // a browser that goes back keeps what was ticked
nameTheme();
begin();
