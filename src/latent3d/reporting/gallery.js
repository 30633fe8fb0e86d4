
// The gallery: choosers, small drawings, verdicts, and the viewer, which is unpacked when the gallery comes into view.
const gallery = JSON.parse(document.getElementById("gallery-data").textContent);
const choosers = ["benchmark", "row", "geometry"].map((name) => document.getElementById(`choose-${name}`));
const [samplesBox, viewerBox, verdictsBox] = ["samples", "viewer", "verdicts"].map((id) => document.getElementById(id));
const colourOf = (element) => gallery.colours[element] ?? gallery.other;
let viewer = null; // a promise of 3Dmol's viewer, once it has been asked for
let chosen = 0;

const options = () => {
  const [benchmark, row] = choosers.map((chooser) => chooser.value);
  const rows = gallery.benchmarks[benchmark] ?? {};
  return [gallery.benchmarks, rows, rows[row] ?? {}];
};
const samples = () => options()[2][choosers[2].value] ?? [];

function fill(from) {
  for (let number = from; number < choosers.length; number++) {
    const before = choosers[number].value;
    const names = Object.keys(options()[number]);
    choosers[number].replaceChildren(...names.map((name) => new Option(name, name)));
    if (names.includes(before)) choosers[number].value = before;
  }
  samplesBox.replaceChildren(...samples().map(card));
  choose(Math.min(chosen, samples().length - 1));
}

function card(sample, number) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("role", "option");
  const canvas = document.createElement("canvas");
  const text = document.createElement("small");
  const [verdict, good] = sample.facts.strict ?? sample.facts.sample ?? ["", null];
  text.className = good ? "good" : "bad";
  text.textContent = `${sample.facts.index[0]}: ${good ? "valid" : verdict}`;
  button.title = text.textContent;
  button.append(canvas, text);
  button.addEventListener("click", () => choose(number));
  draw(canvas, sample);
  return button;
}

// Seen from the front, as the file's coordinates stand: near atoms cover far ones.
function draw(canvas, sample) {
  [canvas.width, canvas.height] = [240, 180];
  const context = canvas.getContext("2d");
  const atoms = sample.elements.map((element, i) => ({ element, at: sample.positions.slice(3 * i, 3 * i + 3) }));
  const reach = (axis) => Math.max(0, ...atoms.map((atom) => Math.abs(atom.at[axis])));
  const scale = Math.min(30, 105 / (reach(0) + 0.5), 75 / (reach(1) + 0.5));
  const place = (atom) => [120 + scale * atom.at[0], 90 - scale * atom.at[1]];
  const strokes = atoms.map((atom) => ({ depth: atom.at[2], atom }));
  for (let b = 0; b < sample.bonds.length; b += 3) {
    const ends = [atoms[sample.bonds[b]], atoms[sample.bonds[b + 1]]];
    strokes.push({ depth: Math.min(ends[0].at[2], ends[1].at[2]) - 0.01, ends });
  }
  strokes.sort((a, b) => a.depth - b.depth);
  for (const { atom, ends } of strokes) {
    context.beginPath();
    if (ends) {
      [context.lineWidth, context.strokeStyle] = [6, "#999"];
      context.moveTo(...place(ends[0]));
      context.lineTo(...place(ends[1]));
      context.stroke();
      continue;
    }
    context.arc(...place(atom), scale * (atom.element === "H" ? 0.25 : 0.38), 0, 7);
    [context.fillStyle, context.lineWidth, context.strokeStyle] = [colourOf(atom.element), 1, "#555"];
    context.fill();
    context.stroke();
  }
}

function choose(number) {
  chosen = Math.max(0, number);
  [...samplesBox.children].forEach((button, i) => button.setAttribute("aria-selected", i === chosen));
  const sample = samples()[chosen];
  if (!sample) return;
  const table = document.createElement("table");
  const title = table.createCaption();
  title.textContent = `Sample ${sample.facts.index[0]}`;
  for (const [key, { label, tip: meaning }] of Object.entries(gallery.verdicts)) {
    if (!sample.facts[key]) continue;
    const [text, good] = sample.facts[key];
    const line = table.insertRow();
    const head = document.createElement("th");
    [head.scope, head.textContent, head.dataset.tip, head.tabIndex] = ["row", label, meaning, 0];
    const cell = document.createElement("td");
    [cell.textContent, cell.className] = [text, good === null ? "" : good ? "good" : "bad"];
    line.append(head, cell);
  }
  verdictsBox.replaceChildren(table);
  legend(sample);
  if (viewer) show();
}

function legend(sample) {
  const box = document.getElementById("elements");
  box.replaceChildren(
    ...[...new Set(sample.elements)].map((element) => {
      const entry = document.createElement("span");
      const dot = document.createElement("i");
      dot.style.background = colourOf(element);
      entry.append(dot, element);
      return entry;
    }),
  );
  if (!sample.elements.length) box.textContent = "There are no coordinates to draw.";
}

async function unpack() {
  const bytes = Uint8Array.from(atob(document.getElementById("viewer-gzip").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  return window.$3Dmol.createViewer(viewerBox, { backgroundColor: "#ffffff", antialias: true });
}

async function show() {
  try {
    viewer ??= unpack();
    const view = await viewer;
    const sample = samples()[chosen];
    const atoms = sample.elements.map((elem, i) => {
      const [x, y, z] = sample.positions.slice(3 * i, 3 * i + 3);
      return { elem, x, y, z, bonds: [], bondOrder: [] };
    });
    for (let b = 0; b < sample.bonds.length; b += 3) {
      const [i, j, order] = sample.bonds.slice(b, b + 3);
      atoms[i].bonds.push(j);
      atoms[j].bonds.push(i);
      atoms[i].bondOrder.push(order);
      atoms[j].bondOrder.push(order);
    }
    view.removeAllModels();
    view.addModel().addAtoms(atoms);
    for (const elem of new Set(sample.elements)) {
      const color = colourOf(elem);
      view.setStyle({ elem }, { stick: { radius: 0.11, color }, sphere: { scale: elem === "H" ? 0.2 : 0.23, color } });
    }
    // The same molecule in another geometry keeps the view.
    const drawn = `${choosers[0].value}/${choosers[1].value}/${chosen}`;
    if (viewerBox.dataset.view !== drawn) {
      view.setView([0, 0, 0, 0, 0, 0, 0, 1]);
      view.zoomTo();
    }
    view.render();
    viewerBox.dataset.view = drawn;
    viewerBox.dataset.drawn = `${drawn}/${choosers[2].value}`;
  } catch (error) {
    const text = document.createElement("p");
    text.textContent = `This browser cannot draw in 3D (${error.message}). It needs WebGL and DecompressionStream.`;
    viewerBox.replaceChildren(text);
  }
}

choosers.forEach((chooser, number) => chooser.addEventListener("change", () => fill(number + 1)));
document.getElementById("gallery").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || event.target.tagName === "SELECT" || !samples().length) return;
  event.preventDefault();
  choose((chosen + step + samples().length) % samples().length);
  samplesBox.children[chosen].scrollIntoView({ block: "nearest", inline: "nearest" });
});
fill(0);
new IntersectionObserver((entries, observer) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  show();
}, { rootMargin: "400px" }).observe(viewerBox);
