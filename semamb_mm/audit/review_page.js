"use strict";
// The page's content is made by review_page.py. Lengths are image pixels, a pixel's
// centre is at whole numbers. "Number" is a suspect's place in the list, worst first.
// Suspects without a view are not shown: frames of a track that are decided with it.

const review = JSON.parse(document.getElementById("content").textContent);
const { suspects, samples } = review;
const element = (id) => document.getElementById(id);
const STORE = `semamb_mm.review/${review.fingerprint}`;
const COLOURS = {
  annotation: "#eb3c3c", proposal: "#46c846", prediction: "#4aa8f0", mine: "#ffdc00",
  other: "#e6e6e6", line: "rgba(255, 255, 255, .38)", edge: "rgba(0, 0, 0, .65)",
};
const MARKS = { accept: "✓", move: "✛", keep: "○", hidden: "–", skip: "?" };
const WORDS = {
  accept: "accepted", move: "moved", keep: "kept", hidden: "hidden", skip: "skipped",
};
const KEYS = { a: "accept", k: "keep", h: "hidden", s: "skip" };
const ARROWS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};
const STEP = 3; // an arrow key's, on the screen; with Shift five times as far
const REACH = 14; // of the mouse, on the screen

// What is kept in the browser: decisions by number, what undo restores, times of the
// last decisions.
let decided = new Map();
let past = [];
let times = [];
let current = 0; // of those that are shown
let view = null; // x, y, scale of the close view
let bare = false; // overlays hidden
let dragged = null; // the point under the mouse
let nudged = -1; // whose last decision the next arrow key goes on with

// --- progress ---------------------------------------------------------------------

function save() {
  const kept = { decided: [...decided], past: past.slice(-500), times, current };
  try {
    localStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    say("This browser keeps no progress: export before you close the page.");
  }
}

function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE));
    if (!kept) return;
    const known = kept.decided.filter(([number]) => number in suspects);
    [decided, past, times] = [new Map(known), [...kept.past], [...kept.times]];
    current = suspects[kept.current]?.view ? kept.current : WORST[0];
  } catch {
    say("No progress could be read from this browser.");
  }
}

// --- decisions --------------------------------------------------------------------

function inside(point, sample) {
  const size = sample.size;
  return point !== null && size !== null &&
    point.every((value, axis) => value >= -0.5 && value < size[axis] - 0.5);
}

function allowed(number, decision) {
  const { sample, proposal } = suspects[number];
  if (decision === "accept") return inside(proposal, samples[sample]);
  return !["move", "hidden"].includes(decision) || samples[sample].size !== null;
}

/** Where a suspect's landmark is, as decided so far. */
function pointOf(number) {
  const { sample, landmark, proposal } = suspects[number];
  const made = decided.get(number);
  if (made?.decision === "accept") return proposal;
  if (made?.decision === "move") return made.point;
  return samples[sample].points[landmark];
}

/** Decide about some suspects at once; undo takes them back at once. */
function decide(numbers, decision, point = null) {
  numbers = numbers.filter((number) => allowed(number, decision));
  if (!numbers.length) {
    say(decision === "accept" ? "No proposal: move the point." : "No picture to see it in.");
    return false;
  }
  past.push({ current, before: numbers.map((n) => [n, decided.get(n) ?? null]) });
  nudged = -1;
  for (const number of numbers) decided.set(number, point ? { decision, point } : { decision });
  times = [...times, Date.now()].slice(-20);
  save();
  return true;
}

function undo() {
  const last = past.pop();
  if (!last) return say("Nothing to undo.");
  for (const [number, before] of last.before) {
    if (before) decided.set(number, before); else decided.delete(number);
  }
  times.pop();
  nudged = -1;
  save();
  go(last.current);
}

function decideAndGo(decision, all) {
  const { sample, track } = suspects[current];
  const same = (n) => n === current || (suspects[n].sample === sample && !decided.has(n));
  const numbers = all ? shown().filter(same) : [current];
  const after = numbers.length ? Math.max(...numbers.map(place)) : place(current);
  if (!decide(numbers, decision)) return;
  nextOpen(after);
  const left = suspects[current].track === track ? openOf(track).length : 0;
  if (left) say(`T does the same for the other ${left} frames of this track.`);
}

/** The undecided frames of a track, shown or not. */
function openOf(track) {
  return suspects.flatMap((suspect, n) =>
    track !== null && suspect.track === track && !decided.has(n) ? [n] : []);
}

/** Decide all undecided frames of the track as its last decided one. */
function decideTrack() {
  const { track } = suspects[current];
  if (track === null) return say("This suspect is of no track.");
  const ofTrack = (n) => suspects[n].track === track;
  const last = past.flatMap(({ before }) => before.map(([n]) => n))
    .findLast((n) => ofTrack(n) && decided.has(n));
  if (last === undefined) return say("First decide about one frame of this track.");
  const { decision } = decided.get(last);
  if (decision === "move") return say("A moved point is its frame's alone: move each one.");
  const open = openOf(track);
  if (!open.length) return say("All frames of this track are decided.");
  if (!decide(open, decision)) return;
  const { before } = past.at(-1);
  nextOpen(Math.max(...WORST.filter(ofTrack).map(place)));
  say(`${before.length} more frames of the track: ${WORDS[decision]}.`);
}

/** Move the point, at first from the proposal; a run of keys is one step for undo. */
function nudge([x, y], far) {
  if (!samples[suspects[current].sample].size) return say("No picture to see it in.");
  const step = (far ? 5 : 1) * STEP / lens().scale;
  const fresh = !decided.has(current) && allowed(current, "accept");
  const [fromX, fromY] = fresh ? suspects[current].proposal : pointOf(current);
  const point = clamped([fromX + step * x, fromY + step * y]);
  if (nudged === current) {
    decided.set(current, { decision: "move", point });
    save();
  } else if (decide([current], "move", point)) {
    nudged = current;
  }
  update();
}

function clamped(point) {
  const { size } = samples[suspects[current].sample];
  return point.map((value, axis) =>
    Math.round(100 * Math.min(Math.max(value, 0), size[axis] - 1)) / 100);
}

// --- the list ---------------------------------------------------------------------

const WORST = suspects.map((_, n) => n).filter((n) => suspects[n].view);

/** What belongs together, where its worst is; within that by another value. */
function together(groupOf, within) {
  const first = new Map();
  WORST.forEach((n) => first.has(groupOf(n)) || first.set(groupOf(n), n));
  return [...WORST].sort((a, b) =>
    first.get(groupOf(a)) - first.get(groupOf(b)) || within(a) - within(b));
}

const ORDERS = {
  worst: WORST,
  sample: together((n) => suspects[n].sample, (n) => n),
  track: together((n) => suspects[n].track ?? `alone ${n}`, (n) => suspects[n].frame),
};
const PLACES = {};
for (const [name, order] of Object.entries(ORDERS)) {
  PLACES[name] = [];
  order.forEach((number, i) => { PLACES[name][number] = i; });
}

const order = () => element("order").value;
const place = (number) => PLACES[order()][number];

/** The numbers that the filters let through, in the chosen order. */
function shown() {
  const [landmark, reason, state, score] = ["landmark", "reason", "state", "score"]
    .map((id) => element(id).value);
  return ORDERS[order()].filter((n) => {
    const suspect = suspects[n];
    return (landmark === "" || suspect.landmark === Number(landmark)) &&
      (reason === "" || suspect.reason === reason.slice(1)) &&
      (score === "" || suspect.score >= Number(score)) &&
      (state === "" || state === (decided.get(n)?.decision ?? "open"));
  });
}

function go(number) {
  if (number !== current) nudged = -1;
  current = number;
  view = null;
  save();
  update();
}

function step(by) {
  const list = shown();
  const before = list.filter((n) => place(n) < place(current));
  const after = list.filter((n) => place(n) > place(current));
  const next = by > 0 ? after[0] : before.at(-1);
  if (next === undefined) return say(by > 0 ? "The list ends here." : "The list begins here.");
  go(next);
}

/** Go to the first undecided suspect after a place in the list, or from its start. */
function nextOpen(after) {
  const open = shown().filter((n) => !decided.has(n));
  const next = open.find((n) => place(n) > after) ?? open[0];
  if (next !== undefined) return go(next);
  const left = suspects.length - decided.size;
  const how = review.tracks.length ? " T decides the other frames of a track." : "";
  say(left ? `All in this list are decided; ${left} others are not.${how}`
    : "All decided. Export (E), then apply_decisions.py.");
  update();
}

// --- files ------------------------------------------------------------------------

function exported() {
  const used = {};
  const decisions = [...decided].sort(([a], [b]) => a - b).map(([number, made]) => {
    const { sample, landmark } = suspects[number];
    const { key, path, size, points } = samples[sample];
    used[key] = { image: path, size };
    const point = ["accept", "move"].includes(made.decision) ? pointOf(number) : null;
    return {
      sample: key, landmark, decision: made.decision, annotation: points[landmark], point,
    };
  });
  const { format, version, fingerprint, name, num_keypoints } = review;
  return {
    format, version, fingerprint, audit: name, exported: new Date().toISOString(),
    num_keypoints, samples: used, decisions,
  };
}

function download() {
  const text = JSON.stringify(exported(), null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `decisions-${review.fingerprint.slice(0, 8)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`Exported ${decided.size} decisions.`);
}

/** Take decisions from a file: those about annotations that are on this page. */
function take(text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    return say("Not imported: the file is no JSON.");
  }
  if (content?.format !== review.format || content.version !== review.version) {
    return say(`Not imported: no decisions file of version ${review.version}.`);
  }
  if (content.num_keypoints !== review.num_keypoints || !Array.isArray(content.decisions)) {
    return say("Not imported: the file is of other landmarks.");
  }
  const numbers = new Map(suspects.map(({ sample, landmark }, n) =>
    [JSON.stringify([samples[sample].key, landmark]), n]));
  const found = [];
  for (const entry of content.decisions) {
    const number = numbers.get(JSON.stringify([entry?.sample, entry?.landmark]));
    const made = number === undefined ? null : imported(entry, number);
    if (made) found.push([number, made]);
  }
  const other = content.decisions.length - found.length;
  if (!found.length) return say("Not imported: it decides nothing that is asked here.");
  past.push({ current, before: found.map(([n]) => [n, decided.get(n) ?? null]) });
  for (const [number, made] of found) decided.set(number, made);
  save();
  nextOpen(-1);
  say(`Imported ${found.length} decisions` +
    (other ? `; ${other} are of other suspects or annotations.` : "."));
}

/** An entry of a file as this page keeps it; null if it does not fit the suspect. */
function imported({ decision, annotation, point }, number) {
  const { sample, landmark, proposal } = suspects[number];
  const near = (a, b) => Array.isArray(a) && Array.isArray(b) && a.length === 2 &&
    a.every((value, axis) => Math.abs(value - b[axis]) < 0.02);
  if (!(decision in WORDS) || !near(annotation, samples[sample].points[landmark])) return null;
  if (!["accept", "move"].includes(decision)) return { decision };
  if (!near(point, point) || !inside(point, samples[sample])) return null;
  // Accepted on a page that proposed another point: that point is meant.
  if (decision === "accept" && near(point, proposal)) return { decision };
  return { decision: "move", point };
}

// --- pictures ---------------------------------------------------------------------

const loaded = new Map(); // the last images, by address

function imageOf(picture) {
  if (!picture) return null;
  let image = loaded.get(picture.src);
  if (!image) {
    image = new Image();
    image.onload = draw;
    image.src = picture.src;
  }
  loaded.delete(picture.src);
  loaded.set(picture.src, image);
  if (loaded.size > 40) loaded.delete(loaded.keys().next().value);
  return image;
}

/** A canvas fitted to its place: its context, and its width and height on the screen. */
function fitted(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const sides = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== sides[0]) canvas.width = sides[0];
  if (canvas.height !== sides[1]) canvas.height = sides[1];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  return { context, width, height };
}

/** The close view: the usual one of a suspect, until it is zoomed or panned. */
function lens() {
  if (!view) {
    const [x, y, side] = suspects[current].view;
    const { width, height } = element("close").getBoundingClientRect();
    view = { x, y, scale: Math.min(width, height) / side };
  }
  return view;
}

/** From image pixels to the screen's. */
function mapping({ x, y, scale }, { width, height }) {
  return ([px, py]) => [(px - x) * scale + width / 2, (py - y) * scale + height / 2];
}

function paint(target, pictures, frame) {
  const toScreen = mapping(frame, target);
  for (const picture of pictures) {
    const image = imageOf(picture);
    if (!image?.complete) continue;
    const [left, top] = toScreen([picture.x, picture.y]);
    const { width, height } = picture;
    target.context.drawImage(image, left, top, width * frame.scale, height * frame.scale);
  }
  return toScreen;
}

/** Stroke or fill a path in a colour, with a dark edge that shows on any ground. */
function mark(context, colour, trace, { fill = false, width = 2 } = {}) {
  context.beginPath();
  trace();
  context.lineWidth = width + 2;
  context.strokeStyle = COLOURS.edge;
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = context.fillStyle = colour;
  if (fill) context.fill(); else context.stroke();
}

const SHAPES = {
  annotation: (c, x, y, r) => { c.moveTo(x + r, y); c.arc(x, y, r, 0, 7); },
  proposal: (c, x, y, r) => {
    r *= 1.25;
    c.moveTo(x, y - r); c.lineTo(x + r, y); c.lineTo(x, y + r); c.lineTo(x - r, y); c.closePath();
  },
  mine: (c, x, y, r) => {
    for (const [dx, dy] of Object.values(ARROWS)) {
      c.moveTo(x + 0.45 * r * dx, y + 0.45 * r * dy);
      c.lineTo(x + 1.7 * r * dx, y + 1.7 * r * dy);
    }
  },
};

function drawPoint(context, kind, [x, y], radius) {
  mark(context, COLOURS[kind], () => SHAPES[kind](context, x, y, radius));
  mark(context, COLOURS[kind], () => context.arc(x, y, 1, 0, 7), { fill: true, width: 1 });
}

/** Write a number beside a point, on the side that is away from another one. */
function label(context, text, [x, y], [fromX, fromY], colour, size = 11) {
  const length = Math.hypot(x - fromX, y - fromY) || 1;
  x += (4 + size) * (x - fromX) / length;
  y += (4 + size) * (y - fromY) / length;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.strokeStyle = COLOURS.edge;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

const linked = new Map(); // landmark to those that are joined to it
for (const [a, b] of review.links) {
  linked.set(a, [...(linked.get(a) ?? []), b]);
  linked.set(b, [...(linked.get(b) ?? []), a]);
}

/** The landmarks that are numbered beside one: the linked ones, or else the nearest. */
function neighbours(landmark, points) {
  const own = points[landmark];
  const near = linked.get(landmark);
  if (near || !own) return near ?? [];
  const distance = (k) => Math.hypot(points[k][0] - own[0], points[k][1] - own[1]);
  return points.map((_, k) => k).filter((k) => k !== landmark && points[k])
    .sort((a, b) => distance(a) - distance(b)).slice(0, 3);
}

const numberOf = new Map(suspects.map(({ sample, landmark }, n) => [`${sample}/${landmark}`, n]));

/** A sample's points, as decided so far. */
function pointsNow(sample) {
  return samples[sample].points.map((point, landmark) => {
    const number = numberOf.get(`${sample}/${landmark}`);
    return number === undefined ? point : pointOf(number);
  });
}

function drawOthers(context, points, toScreen, landmark, radius, numbered, from) {
  context.lineWidth = 1;
  context.strokeStyle = COLOURS.line;
  context.beginPath();
  for (const [a, b] of review.links) {
    if (!points[a] || !points[b]) continue;
    context.moveTo(...toScreen(points[a]));
    context.lineTo(...toScreen(points[b]));
  }
  context.stroke();
  points.forEach((point, k) => {
    if (!point || k === landmark) return;
    const [x, y] = toScreen(point);
    mark(context, COLOURS.other, () => context.arc(x, y, radius, 0, 7), { fill: true, width: 1 });
  });
  for (const k of numbered) {
    if (points[k] && k !== landmark) {
      label(context, k, toScreen(points[k]), from, COLOURS.other);
    }
  }
}

/** Whether a suspect's prediction is something else than what is proposed. */
function differs({ prediction, proposal }) {
  return prediction !== null && (proposal === null ||
    Math.hypot(prediction[0] - proposal[0], prediction[1] - proposal[1]) > 0.5);
}

function drawClose() {
  const { sample, landmark, proposal, prediction, picture } = suspects[current];
  const target = fitted(element("close"));
  const pictures = [samples[sample].picture, picture];
  paint(fitted(element("plain")), pictures, plainLens());
  const toScreen = paint(target, pictures, lens());
  if (bare) return;
  const { context } = target;
  const points = pointsNow(sample);
  const annotation = samples[sample].points[landmark];
  const now = dragged ?? pointOf(current);
  const decision = dragged ? "move" : decided.get(current)?.decision;
  const moved = decision === "move";
  drawOthers(
    context, points, toScreen, landmark, 2.5, neighbours(landmark, points), toScreen(now));
  const end = moved ? now : proposal;
  if (end) {
    context.setLineDash([5, 4]);
    mark(context, "rgba(255, 255, 255, .75)", () => {
      context.moveTo(...toScreen(annotation));
      context.lineTo(...toScreen(end));
    }, { width: 1 });
    context.setLineDash([]);
  }
  if (differs(suspects[current])) {
    const [x, y] = toScreen(prediction);
    mark(context, COLOURS.prediction, () => context.arc(x, y, 4, 0, 7), { fill: true, width: 1 });
  }
  const radius = (chosen) => (chosen ? 11 : 7);
  drawPoint(context, "annotation", toScreen(annotation), radius(decision === "keep"));
  if (proposal) drawPoint(context, "proposal", toScreen(proposal), radius(decision === "accept"));
  if (moved) drawPoint(context, "mine", toScreen(now), radius(false));
}

/** The plain picture shows what the close one does, as far as it is square. */
function plainLens() {
  const close = element("close").getBoundingClientRect();
  const plain = element("plain").getBoundingClientRect();
  const ratio = Math.min(plain.width, plain.height) / Math.min(close.width, close.height);
  return { ...lens(), scale: lens().scale * ratio };
}

function drawWhole() {
  const { sample, landmark, proposal } = suspects[current];
  const { picture } = samples[sample];
  const target = fitted(element("whole"));
  if (!picture) return;
  const all = {
    x: picture.x + picture.width / 2,
    y: picture.y + picture.height / 2,
    scale: Math.min(target.width / picture.width, target.height / picture.height),
  };
  const toScreen = paint(target, [picture], all);
  if (bare) return;
  const { context } = target;
  drawOthers(context, pointsNow(sample), toScreen, landmark, 1.4, [], null);
  drawPoint(context, "annotation", toScreen(samples[sample].points[landmark]), 4);
  if (proposal) drawPoint(context, "proposal", toScreen(proposal), 4);
  const close = element("close").getBoundingClientRect();
  const { x, y, scale } = lens();
  const half = [close.width / scale / 2, close.height / scale / 2];
  const [left, top] = toScreen([x - half[0], y - half[1]]);
  const [right, bottom] = toScreen([x + half[0], y + half[1]]);
  context.lineWidth = 1;
  context.strokeStyle = "rgba(255, 255, 255, .6)";
  context.strokeRect(left, top, right - left, bottom - top);
}

/** The landmarks on a typical shape; where there is no room only some are numbered. */
function drawLegend(canvas, all) {
  const target = fitted(canvas);
  const { landmark } = suspects[current];
  const points = review.shape;
  const frame = { x: 0, y: 0, scale: 0.78 * Math.min(target.width, target.height) };
  const toScreen = mapping(frame, target);
  const near = all ? points.map((_, k) => k) : neighbours(landmark, points);
  const middle = toScreen([0, 0]);
  const place = points[landmark] && toScreen(points[landmark]);
  drawOthers(target.context, points, toScreen, landmark, 1.6, near, all ? middle : place);
  if (!place) return;
  const [x, y] = place;
  mark(target.context, COLOURS.mine, () => target.context.arc(x, y, 4, 0, 7), { fill: true, width: 1 });
  label(target.context, landmark, place, [x, y + 1], COLOURS.mine, 14);
}

let asked = false;

function draw() {
  if (asked || !suspects.length) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    drawClose();
    drawWhole();
    const open = element("legend").open;
    drawLegend(element(open ? "legend" : "legend-small").querySelector("canvas"), open || review.num_keypoints <= 30);
  });
}

// --- words ------------------------------------------------------------------------

const nameOf = (landmark) => `${landmark} ${review.names[landmark] ?? ""}`.trim();
const extent = ({ first, last, count }) =>
  first === last ? `frame ${first} alone` : `${count} suspects in frames ${first} to ${last}`;
const percent = (share) => `${Math.round(100 * share)} %`;

function say(text) {
  element("message").textContent = text;
  element("message").title = text;
}

/** The entries of the list, made once: to lay out hundreds takes long. */
const rows = suspects.map(({ sample, landmark, score, reason, view: shownAt }, number) => {
  if (!shownAt) return null;
  const item = document.createElement("li");
  const texts = {
    i: "", span: nameOf(landmark), b: score.toFixed(1), small: reason || samples[sample].key,
  };
  for (const [tag, text] of Object.entries(texts)) {
    item.append(Object.assign(document.createElement(tag), { textContent: text }));
  }
  item.onclick = () => go(number);
  return item;
});

function updateRow(number) {
  const item = rows[number];
  const decision = decided.get(number)?.decision ?? "";
  if (item.className !== decision || !item.title) {
    item.className = decision;
    item.firstElementChild.textContent = MARKS[decision] ?? "";
    const { key } = samples[suspects[number].sample];
    item.title = decision ? `${key}: ${WORDS[decision]}` : key;
  }
  if (number === current) item.setAttribute("aria-current", "true");
  else item.removeAttribute("aria-current");
}

function updateList() {
  const queue = element("queue");
  const items = shown().map((number) => rows[number]);
  if (items.length !== queue.children.length || items.some((item, i) => item !== queue.children[i])) {
    queue.replaceChildren(...items);
    element("shown").textContent = `${items.length} of ${WORST.length}`;
  }
  WORST.forEach(updateRow);
  if (items.includes(rows[current])) rows[current].scrollIntoView({ block: "center" });
}

function updateQuestion() {
  const { sample, landmark, score, reason, precision, track } = suspects[current];
  const { key, path, problem } = samples[sample];
  const made = decided.get(current)?.decision;
  element("name").textContent = nameOf(landmark);
  element("why").textContent = [
    `score ${score.toFixed(1)}`,
    ...(reason ? [reason] : []),
    ...(track === null ? [] : [extent(review.tracks[track])]),
    ...(precision === null ? [] : [`${percent(precision)} expected wrong`]),
  ].join(" · ");
  element("why").title = precision === null ? "" : `Of the ${track === null ? "suspects" : "tracks"} ` +
    `down to this one, ${percent(precision)} are expected to be wrong.`;
  element("verdict").textContent = made ? WORDS[made] : "";
  element("path").textContent = path === key ? key : `${key} · ${path}`;
  element("path").title = path;
  element("problem").textContent = problem ? `No picture: ${problem}` : "";
  for (const button of document.querySelectorAll("[data-decision]:is(button)")) {
    const { decision } = button.dataset;
    button.setAttribute("aria-pressed", String(decision === made));
    button.disabled = !allowed(current, decision);
  }
  element("undo").disabled = !past.length;
}

function updateProgress() {
  const total = suspects.length;
  element("count").textContent = `${decided.size} of ${total} decided`;
  element("progress").value = decided.size / total;
  // Pauses do not count: the median.
  const spans = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
  const each = spans[Math.floor(spans.length / 2)] / 60000;
  const left = Math.ceil(each * (total - decided.size));
  element("pace").textContent = spans.length > 4 && left ? `about ${left} min left` : "";
}

function update() {
  updateList();
  updateQuestion();
  updateProgress();
  document.querySelector("#marks .prediction").hidden = !differs(suspects[current]);
  const coming = shown().filter((n) => place(n) >= place(current));
  for (const n of coming.slice(0, 4)) {
    imageOf(samples[suspects[n].sample].picture);
    imageOf(suspects[n].picture);
  }
  draw();
}

// --- mouse ------------------------------------------------------------------------

function connectMouse() {
  const canvas = element("close");
  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const { x, y, scale } = lens();
    return [(clientX - left - width / 2) / scale + x, (clientY - top - height / 2) / scale + y];
  };
  let held = null; // where the mouse went down; by how much the point is off it
  canvas.onpointerdown = (event) => {
    if (event.button) return;
    const { sample, landmark, proposal } = suspects[current];
    const [x, y] = at(event);
    const near = [pointOf(current), samples[sample].points[landmark], proposal]
      .filter((point) => point && samples[sample].size)
      .find((point) => Math.hypot(point[0] - x, point[1] - y) * lens().scale <= REACH);
    held = { x, y, off: near ? [near[0] - x, near[1] - y] : null };
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointermove = (event) => {
    if (!held) return;
    const [x, y] = at(event);
    if (held.off) {
      dragged = clamped([x + held.off[0], y + held.off[1]]);
    } else {
      view.x += held.x - x;
      view.y += held.y - y;
    }
    draw();
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    if (dragged && event.type === "pointerup") decide([current], "move", dragged);
    held = dragged = null;
    update();
  };
  canvas.ondblclick = (event) => {
    if (!samples[suspects[current].sample].size) return;
    decide([current], "move", clamped(at(event)));
    update();
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), at(event));
  }, { passive: false });
}

function zoom(factor, about = [lens().x, lens().y]) {
  const { x, y, scale: before } = lens();
  const [, , side] = suspects[current].view;
  const { width, height } = element("close").getBoundingClientRect();
  const usual = Math.min(width, height) / side;
  const scale = Math.min(Math.max(before * factor, usual / 16), usual * 16);
  const share = before / scale;
  view = { x: about[0] + (x - about[0]) * share, y: about[1] + (y - about[1]) * share, scale };
  draw();
}

// --- keys -------------------------------------------------------------------------

function toggle(id) {
  const dialog = element(id);
  if (dialog.open) return dialog.close();
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  dialog.showModal();
  if (id !== "legend") return;
  const { landmark } = suspects[current];
  dialog.querySelector("ol").replaceChildren(...review.shape.map((_, k) => {
    const item = Object.assign(document.createElement("li"), { textContent: nameOf(k) });
    if (k === landmark) item.setAttribute("aria-current", "true");
    return item;
  }));
  dialog.querySelector("[aria-current]").scrollIntoView({ block: "center" });
  draw();
}

const ACTIONS = {
  t: decideTrack, u: undo, n: () => step(1), p: () => step(-1),
  Enter: () => nextOpen(place(current)), e: download,
  "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4),
  0: () => { view = null; draw(); },
};

function press(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const at = (tags) => event.target.closest(tags) !== null;
  if (event.altKey || at("input, select") || (at("button") && " Enter".includes(key))) return;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") undo();
    return;
  }
  if (key === "l") return toggle("legend");
  if (key === "?") return toggle("keys");
  if (document.querySelector("dialog[open]")) return;
  if (key in KEYS) {
    decideAndGo(KEYS[key], event.shiftKey);
  } else if (key in ARROWS) {
    nudge(ARROWS[key], event.shiftKey);
  } else if (key === " ") {
    bare = true;
    draw();
  } else if (key in ACTIONS) {
    ACTIONS[key]();
  } else {
    return;
  }
  event.preventDefault();
}

function connectKeys() {
  document.addEventListener("keydown", press);
  const show = () => { bare = false; draw(); };
  document.addEventListener("keyup", (event) => { if (event.key === " ") show(); });
  window.addEventListener("blur", show);
  window.addEventListener("resize", () => { view = null; draw(); });
  // Another tab of the same audit.
  window.addEventListener("storage", (event) => {
    if (event.key === STORE) {
      const mine = current;
      restore();
      current = mine;
      update();
    }
  });
}

function connectButtons() {
  for (const button of document.querySelectorAll("button")) {
    // The next key is for the page, not for the button.
    button.addEventListener("click", () => button.blur());
  }
  for (const button of document.querySelectorAll("[data-decision]:is(button)")) {
    const { decision } = button.dataset;
    button.onclick = () => decision === "move"
      ? say("Drag the point, or press the arrow keys; Enter goes on.")
      : decideAndGo(decision, false);
  }
  element("undo").onclick = undo;
  element("export").onclick = download;
  element("help").onclick = () => toggle("keys");
  element("legend-small").onclick = () => toggle("legend");
  element("import").onclick = () => element("file").click();
  element("file").onchange = async ({ target }) => {
    const [file] = target.files;
    if (file) take(await file.text());
    target.value = "";
  };
}

function fill(id, options) {
  element(id).replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

function connectFilters() {
  const count = (values) => {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].sort(([a], [b]) => (a > b) - (a < b));
  };
  fill("landmark", [["", "all"], ...count(WORST.map((n) => suspects[n].landmark))
    .map(([landmark, n]) => [landmark, `${nameOf(landmark)} (${n})`])]);
  // A letter before each, so that no reason is "all".
  fill("reason", [["", "all"], ...count(WORST.map((n) => suspects[n].reason))
    .map(([reason, n]) => [`=${reason}`, `${reason || "none given"} (${n})`])]);
  element("filters").onsubmit = (event) => event.preventDefault();
  element("filters").onchange = ({ target }) => {
    target.blur();
    const list = shown();
    if (list.length && !list.includes(current)) go(list.find((n) => !decided.has(n)) ?? list[0]);
    else update();
  };
  element("score").onkeydown = ({ key, target }) => { if (key === "Enter") target.blur(); };
}

if (suspects.length) {
  if (!review.tracks.length) element("order").querySelector("[value=track]").remove();
  element("order").value = review.tracks.length ? "track" : "worst";
  connectFilters();
  restore();
  connectButtons();
  connectKeys();
  connectMouse();
  update();
  say(review.found > suspects.length ? `The worst ${suspects.length} of ${review.found} suspects.` : "");
} else {
  document.querySelector("main").textContent = "No suspects: nothing to review.";
}
