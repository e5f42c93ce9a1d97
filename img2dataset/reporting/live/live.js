// Shows what the server says of a run, again and again. What strangers have written (URLs, captions, messages) is
// only ever set as text.
"use strict";

const token = new URLSearchParams(location.search).get("token");
const address = (path, values) => path + "?" + new URLSearchParams({ token, ...values });
const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const STATES = { running: "running", ended: "ended", failed: "ended with errors", silent: "silent", unknown: "not known" };
let paused = false;

// Numbers, as people read them.
const known = (value) => value !== null && value !== undefined;
const whole = (value) => (known(value) ? Math.round(value).toLocaleString("en") : "–");
const counted = (value, noun) => `${whole(value)} ${noun}${Math.round(value) === 1 ? "" : "s"}`;
const percent = (value) => (known(value) ? (100 * value).toFixed(1) + " %" : "–");
function scaled(value, units, base) {
  if (!known(value)) return "–";
  let power = 0;
  while (value >= base && power < units.length - 1) { value /= base; power += 1; }
  return (value >= 100 || power === 0 && Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1)) + units[power];
}
const bytes = (value) => scaled(value, [" B", " kB", " MB", " GB", " TB", " PB"], 1000);
const short = (value) => scaled(value, ["", "k", "M", "G"], 1000);
function duration(seconds) {
  if (!known(seconds)) return "–";
  const s = Math.round(seconds), d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  if (d) return `${d} d ${h} h`;
  if (h) return `${h} h ${m} min`;
  return m ? `${m} min ${s % 60} s` : `${s} s`;
}

// Only what differs is changed, so that a screen reader and a selection are left in peace.
function say(element, text) { if (element.textContent !== text) element.textContent = text; }
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
function replaceIfOther(element, content, key) {
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...content);
}

function showHead(view) {
  say(at("state"), STATES[view.state] || view.state);
  at("state").className = "state " + view.state;
  document.title = `${view.rows && view.rows.of_list ? percent(view.rows.done / view.rows.of_list) + " " : ""}img2dataset: ${view.output}`;
  say(at("where"), [view.output, view.list ? "from " + view.list : ""].filter(Boolean).join(" "));
  const trouble = [...(view.errors || []), view.trouble ? "The folder cannot be read: " + view.trouble : ""];
  if (!view.rows) trouble.push("Nothing of a run is in this folder yet.");
  showTrouble(trouble.filter(Boolean).join(" "));
}
function showTrouble(text) {
  at("trouble").hidden = !text;
  say(at("trouble"), text);
}

function showProgress(view) {
  const rows = view.rows || { done: 0 };
  const share = rows.of_list ? Math.min(1, rows.done / rows.of_list) : null;
  say(at("progress-text"), known(share)
    ? `${whole(rows.done)} of ${counted(rows.of_list, "row")} (${percent(share)})` : counted(rows.done, "row"));
  const bar = at("progress");
  bar.classList.toggle("unknown", !known(share));
  bar.setAttribute("aria-valuenow", known(share) ? (100 * share).toFixed(1) : "0");
  bar.firstElementChild.style.width = 100 * (share || 0) + "%";
  const parts = [["succeeded", rows.success, "good"], ["failed to resize", rows.failed_to_resize, "warn"],
    ["failed to download", rows.failed_to_download, "bad"]];
  const texts = parts.map(([name, count]) => `${whole(count || 0)} ${name}`);
  [...at("parts").children].forEach((part, index) => { part.style.flexGrow = parts[index][1] || 0; });
  at("parts").setAttribute("aria-label", texts.join(", "));
  replaceIfOther(at("parts-text"), parts.map(([, , kind], index) =>
    make("li", {}, make("i", { class: kind, "aria-hidden": "true" }), texts[index])), texts.join());
}

function showTiles(view) {
  const shards = view.shards || {};
  const elapsed = known(view.began) ? (view.state === "running" ? view.now : view.heard) - view.began : null;
  const tiles = [
    ["Success", percent(view.success_share), counted(view.rows && view.rows.success, "image")],
    ["Rows a second", short(view.rows_per_second), `${short(view.mean_rows_per_second)} since it began`],
    ["Time", duration(elapsed), view.state !== "running" ? "in all" : known(view.seconds_left) ? `about ${duration(view.seconds_left)} left` : "so far"],
    ["Shards done", whole(shards.done), [known(view.shards_open) ? `${whole(view.shards_open)} open` : "", `${whole(shards.failed || 0)} failed`].filter(Boolean).join(", ")],
    ["Download", known(view.bytes_per_second) ? bytes(view.bytes_per_second) + "/s" : "–", `${bytes(view.bytes_in)} in, ${bytes(view.bytes_out)} out`],
    ["CPU", known(view.cores_used) ? view.cores_used.toFixed(1) : "–", known(view.cores) ? `of ${view.cores} cores` : ""],
    ["Memory", bytes(view.memory), known(view.memory_limit) ? `of ${bytes(view.memory_limit)}` : ""],
    ["In the folder", whole(view.shards_in_folder), "finished shards"],
  ];
  const list = at("tiles");
  if (!list.children.length) {
    list.append(...tiles.map(([name]) => make("div", { class: "tile" }, make("dt", {}, name), make("dd"), make("dd", { class: "more" }))));
  }
  tiles.forEach(([, value, more], index) => {
    say(list.children[index].children[1], value);
    say(list.children[index].children[2], more);
  });
}

const CHARTS = [
  ["Rows a second", "rows_per_second", short], ["Success share", "success_share", percent, 1],
  ["Cores in use", "cores", (value) => value.toFixed(1)], ["Memory", "memory", bytes],
  ["Bytes downloaded a second", "bytes_per_second", bytes],
];
const WIDTH = 400, HEIGHT = 150, LEFT = 58, RIGHT = 8, TOP = 8, BOTTOM = 22;
function draw(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
function chart(title, times, values, shown, top, began) {
  const numbers = values.filter(known);
  const highest = top || Math.max(...numbers) || 1;
  const [start, end] = [began, times[times.length - 1]];
  const x = (time) => LEFT + (WIDTH - LEFT - RIGHT) * (time - start) / (end - start || 1);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(1, value / highest));
  const drawing = draw("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  drawing.setAttribute("aria-label", `${title} over ${duration(end - start)}: lowest ${shown(Math.min(...numbers))}, highest ${shown(Math.max(...numbers))}, last ${shown(numbers[numbers.length - 1])}`);
  for (const part of [0, 0.5, 1]) {
    drawing.append(draw("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(part * highest), y2: y(part * highest) }));
    drawing.append(draw("text", { x: LEFT - 6, y: y(part * highest) + 4, "text-anchor": "end" }, shown(part * highest)));
  }
  drawing.append(draw("text", { x: LEFT, y: HEIGHT - 5 }, "0 s"));
  drawing.append(draw("text", { x: WIDTH - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, duration(end - start)));
  // Each value is that of a step that ends at its time: it is drawn in the middle, and a gap ends the line.
  const parts = [[]];
  times.forEach((time, index) => {
    const before = index ? times[index - 1] : start;
    if (known(values[index])) parts[parts.length - 1].push([x((before + time) / 2), y(values[index])]);
    else if (parts[parts.length - 1].length) parts.push([]);
  });
  for (const points of parts.filter((part) => part.length)) {
    if (points.length === 1) points.push([points[0][0] + 2, points[0][1]]);
    const line = "M" + points.map(([a, b]) => a.toFixed(1) + " " + b.toFixed(1)).join("L");
    const floor = y(0).toFixed(1);
    drawing.append(draw("path", { class: "under", d: `${line}L${points[points.length - 1][0].toFixed(1)} ${floor}L${points[0][0].toFixed(1)} ${floor}Z` }));
    drawing.append(draw("path", { class: "line", d: line }));
  }
  return drawing;
}
function showCharts(view) {
  const series = view.series;
  if (!series) return;
  const figures = [];
  for (const [title, name, shown, top] of CHARTS) {
    const values = series[name];
    const numbers = values.filter(known);
    if (!numbers.length) continue;
    figures.push(make("figure", { class: "card" },
      make("figcaption", {}, title, make("span", {}, shown(numbers[numbers.length - 1]))),
      chart(title, series.time, values, shown, top, view.began)));
  }
  const text = figures.length ? figures : [make("p", { class: "faint" }, "Nothing has been measured yet.")];
  replaceIfOther(at("charts"), text, JSON.stringify(series));
}

function showTable(table, heads, rows, empty) {
  const key = JSON.stringify(rows);
  const head = make("thead", {}, make("tr", {}, ...heads.map(([name, kind]) => make("th", { scope: "col", class: kind || "" }, name))));
  const body = make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((text, index) =>
    index ? make("td", { class: heads[index][1] || "" }, text) : make("th", { scope: "row" }, text)))));
  if (!rows.length) body.append(make("tr", {}, make("td", { colspan: heads.length, class: "faint" }, empty)));
  replaceIfOther(table, [head, body], key);
}
function showTables(view) {
  showTable(at("failures"), [["Reason"], ["Rows", "number"], ["Share", "number"]],
    (view.failures || []).map((each) => [each.message, whole(each.rows), percent(each.share)]), "no row has failed");
  showTable(at("hosts"), [["Host"], ["Rows", "number"], ["Failed", "number"], ["Mostly"]],
    (view.hosts || []).map((each) => [each.host || "none named", whole(each.rows), whole(each.failed), each.most_frequent || ""]), "no host is known yet");
  const members = view.members || [];
  at("members-section").hidden = !members.length;
  showTable(at("members"), [["Name"], ["Host"], ["State"], ["Heard of", "number"], ["Shards", "number"], ["Failed", "number"], ["Rows/s", "number"]],
    members.map((each) => [each.name, each.host, each.state, `${duration(each.silent_s)} ago`, whole(each.shards_done), whole(each.shards_failed), short(each.rows_per_second)]), "");
}

function showFindings(view) {
  const findings = view.findings || [];
  at("findings-section").hidden = !findings.length;
  replaceIfOther(at("findings"), findings.map((each) => make("li", { class: "card" },
    make("strong", {}, each.title), make("p", {}, each.cause), make("p", { class: "faint" }, "→ " + each.remedy))), JSON.stringify(findings));
}

function showSamples(view) {
  const samples = view.samples || [];
  at("samples-section").hidden = !samples.length;
  replaceIfOther(at("samples"), samples.map((each) => {
    const about = each.caption || each.url || each.key;
    const image = make("img", { src: each.data || address("/image", { key: each.key }), alt: about, decoding: "async" });
    const figure = make("figure", {}, image, make("figcaption", { "aria-hidden": "true" }, about));
    figure.title = `${each.key} ${each.width || "?"} × ${each.height || "?"} ${each.url || ""}`;
    return figure;
  }), samples.map((each) => each.key).join() + view.is_last);
}

function show(view) {
  showHead(view);
  showProgress(view);
  showTiles(view);
  showFindings(view);
  showCharts(view);
  showTables(view);
  showSamples(view);
  say(at("foot"), [view.version ? "img2dataset " + view.version : "", view.engine, view.host,
    known(view.heard) ? "last heard of at " + new Date(1000 * view.heard).toLocaleTimeString() : "",
    view.is_last ? "the run has ended, and this page is not served any more" : ""].filter(Boolean).join(" · "));
}

async function follow() {
  let number = "";
  for (;;) {
    try {
      const answer = await fetch(address("/view", { after: number }));
      if (!answer.ok) { showTrouble((await answer.text()).trim()); return; }
      const view = await answer.json();
      number = view.number;
      if (!paused || view.is_last) show(view);
      if (view.is_last) return;
    } catch (error) {
      showTrouble("The program that serves this page does not answer: it has ended, or is restarted at another address.");
      at("state").className = "state silent";
      await new Promise((resolve) => setTimeout(resolve, 5000));
    }
  }
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
});
follow();
