"use strict";
// Shows the figures of the page. Text from the data goes into text nodes only.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tokens = data.tokens;
  const count = tokens.length;
  const unit = data.model.token;
  const MOST_PIXELS = 16384;  // of a side of a canvas

  // ---- small tools ----------------------------------------------------------------

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    fill(node, attributes, children);
    return node;
  }

  function svg(tag, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    fill(node, attributes, children);
    return node;
  }

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null));
  }

  // A token as a label: what cannot be seen gets a sign.
  function visible(text, name) {
    if (text === "") return name || "∅";
    return text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "␣")
      .replace(/[\u0000-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u2069]/g, "�");
  }

  function figure(value, digits) {
    return value === null ? "–" : value.toFixed(digits).replace("-", "−");
  }

  function probability(value) {
    if (value < 1e-12) return "0%";
    if (value >= 0.001) return (100 * value).toFixed(value >= 0.1 ? 1 : 2) + "%";
    return (100 * value).toExponential(1) + "%";
  }

  function shade(value, colour) {
    const part = Math.max(0, Math.min(1, value));
    return `color-mix(in srgb, var(${colour}) ${(78 * part).toFixed(1)}%, transparent)`;
  }

  function signed(value, largest) {
    return shade(Math.abs(value) / (largest || 1), value < 0 ? "--minus" : "--plus");
  }

  function whole(number) {
    return number.toLocaleString("en");
  }

  // ---- head -----------------------------------------------------------------------

  const kind = data.model.cell || data.model.network;
  const facts = [
    ["model", `${kind}, ${data.model.layers} × ${data.model.units} units, ` +
      `${whole(data.model.weights)} weights, vocabulary of ${whole(data.model.vocabulary)}`],
    ["shown", `${whole(count)} ${unit}s`],
    ["measured", `${whole(data.text.measured)} ${unit}s`],
    ["mean surprisal", `${figure(data.loss.nats, 3)} nats = ${figure(data.loss.bits, 3)} ` +
      `bits a ${unit}`],
  ];
  for (const [name, value] of facts) {
    document.getElementById("facts").append(
      el("div", null, el("dt", null, name), el("dd", null, value)));
  }

  // ---- the text and its colours -----------------------------------------------------

  const box = document.getElementById("tokens");
  if (data.text.given) {
    box.append(el("span", { class: "mark", title: "read, not predicted" },
      visible(data.text.before)));
  }
  const spans = tokens.map((token, i) => {
    const span = el("span", {
      role: "option", tabindex: "-1", "aria-selected": "false", "data-place": i,
      title: `${figure(token.bits, 2)} bits, ${probability(token.probability)}`,
    });
    if (token.text === "\n") span.append(el("span", { class: "mark" }, "⏎"), "\n");
    else if (token.text === "") span.append(el("span", { class: "mark" }, token.token));
    else span.append(token.text);
    box.append(span);
    return span;
  });

  // What the text can be coloured by: a name, a sentence, a value of each place.
  const colours = [{
    name: "surprisal",
    note: "Surprisal of each token in bits: −log₂ of the probability it was given.",
    values: tokens.map((token) => token.bits), low: 0, high: 12, colour: "--hot", unit: "bits",
  }, {
    name: "expected surprisal",
    note: "Entropy of each prediction: how uncertain the model was, whatever came.",
    values: tokens.map((token) => token.entropy / Math.LN2), low: 0, high: 8,
    colour: "--hot", unit: "bits",
  }];
  for (const probe of data.probes.probes) {
    const where = `layer ${probe.layer + 1} unit ${probe.unit}`;
    const largest = Math.max(...probe.outputs.map(Math.abs), 1e-9);
    colours.push({
      name: `${probe.property}: ${where}`, probe,
      note: `Output of ${where} after reading each token` +
        (probe.sign < 0 ? "; low where the place is " : "; high where the place is ") +
        `${probe.property}.`,
      values: behind(probe.outputs), low: -largest, high: largest, diverging: true, unit: "",
    }, {
      name: `${probe.property}: probe of all units`,
      note: `Probability of “${probe.property}” after reading each token, by a probe of ` +
        "all units that was fitted on a later part of the text.",
      values: behind(probe.probabilities), low: 0, high: 1, colour: "--cool", unit: "",
    });
  }
  data.gates.forEach((layer, i) => {
    if (layer.held_by === null) return;
    const map = layer.gates[layer.held_by];
    colours.push({
      name: `layer ${i + 1}: ${layer.held_by} gate, mean of units`,
      note: `Mean of the ${layer.held_by} gate of layer ${i + 1} while it read each token.`,
      values: behind(map.mean), low: Math.min(...map.mean), high: Math.max(...map.mean),
      colour: "--cool", unit: "",
    });
  });

  // Figures after input i are shown on the token that was input i: one place earlier.
  function behind(values) {
    return tokens.map((_, i) => (i + 1 < values.length ? values[i + 1] : null));
  }

  const chooser = document.getElementById("colour");
  colours.forEach((each, i) => chooser.append(el("option", { value: i }, each.name)));

  function paint() {
    const by = colours[chooser.value];
    document.getElementById("colour-note").textContent = by.note;
    const legend = document.getElementById("legend");
    const ends = by.diverging
      ? `linear-gradient(to right, ${signed(-1, 1)}, transparent, ${signed(1, 1)})`
      : `linear-gradient(to right, transparent, ${shade(1, by.colour)})`;
    legend.replaceChildren(figure(by.low, by.unit ? 0 : 2), el("i", { style: `background: ${ends}` }),
      figure(by.high, by.unit ? 0 : 2) + (by.unit ? ` ${by.unit} or more` : ""));
    spans.forEach((span, i) => {
      const value = by.values[i];
      span.style.background = value === null ? "none"
        : by.diverging ? signed(value, by.high)
          : shade((value - by.low) / (by.high - by.low || 1), by.colour);
    });
  }
  chooser.addEventListener("change", paint);

  // ---- the chosen token -------------------------------------------------------------

  const methods = [{
    name: "integrated gradients", rows: data.attribution.gradients, signed: true,
    note: (i) => `In nats, against ${data.attribution.baseline_is}. They sum to ` +
      `${figure(data.attribution.sums[i], 3)}; the difference they should sum to is ` +
      `${figure(data.attribution.differences[i], 3)} (completeness error ` +
      `${Math.abs(data.attribution.sums[i] - data.attribution.differences[i]).toFixed(4)}, ` +
      `${data.attribution.points[i]} points).`,
  }, {
    name: "occlusion", rows: data.attribution.occlusion, signed: true,
    note: () => "In nats: what the prediction loses with " +
      `${data.attribution.baseline_is} in the place of one token.`,
  }];
  data.attention.forEach((layer, i) => methods.push({
    name: data.attention.length > 1 ? `attention, layer ${i + 1}` : "attention",
    rows: layer.weights, signed: false,
    note: (k) => (layer.heads > 1 ? `Mean of ${layer.heads} heads. ` : "") +
      `Tokens further back get ${probability(layer.further[k])} of the weight.`,
  }));
  if (data.cache) {
    methods.push({
      name: "continuous cache", rows: data.cache.weights, signed: false,
      note: (k) => `Window ${data.cache.window}, theta ${data.cache.theta}` +
        (data.cache.share === null ? "" : `, share ${data.cache.share}`) +
        "; the cache gives what came " + (data.cache.probabilities[k] === null
        ? "nothing yet" : probability(data.cache.probabilities[k])) + ".",
    });
  }
  let method = 0;
  let chosen = -1;

  function pieceBefore(place) {
    return place < 0 ? data.text.before : tokens[place].text;
  }

  function nameBefore(place) {
    return place < 0 ? visible(data.text.before) : tokens[place].token;
  }

  function choose(place, focus) {
    if (chosen >= 0) {
      spans[chosen].setAttribute("aria-selected", "false");
      spans[chosen].tabIndex = -1;
    }
    chosen = place;
    spans[place].setAttribute("aria-selected", "true");
    spans[place].tabIndex = 0;
    if (focus) spans[place].focus();
    describe();
  }

  function describe() {
    const token = tokens[chosen];
    const detail = document.getElementById("detail");
    const rows = token.alternatives.map((other) => {
      const came = other.token === token.token;
      return el("tr", came ? { class: "came" } : null,
        el("td", null, el("span", { class: "quoted" }, visible(other.token))),
        el("td", { class: "number" }, probability(other.probability)),
        el("td", { class: "bar" }, el("i", { style: `width: ${100 * other.probability}%` })));
    });
    const within = token.alternatives.some((other) => other.token === token.token);
    if (!within) {
      rows.push(el("tr", { class: "came" },
        el("td", null, el("span", { class: "quoted" }, visible(token.token))),
        el("td", { class: "number" }, probability(token.probability)),
        el("td", { class: "bar" }, el("i", { style: `width: ${100 * token.probability}%` }))));
    }
    const parts = [
      el("h3", null, el("span", { class: "quoted" }, visible(token.text, token.token))),
      el("p", null, `${figure(token.bits, 2)} bits = ${figure(token.nats, 3)} nats, ` +
        `probability ${probability(token.probability)}, ` +
        (token.rank === 1 ? "the likeliest" : `rank ${whole(token.rank)}`) +
        ` of ${whole(data.model.vocabulary)}.`),
      token.oov ? el("p", { class: "note" }, `Not in the vocabulary: it is read as ${token.token}.`) : null,
      el("h3", null, "What was expected"),
      el("table", { id: "alternatives" }, el("tbody", null, ...rows)),
      el("h3", null, "What it rests on"),
      methodChooser(), ...attribution(),
    ];
    detail.replaceChildren(...parts.filter((part) => part !== null));
  }

  function methodChooser() {
    const select = el("select", { id: "method", "aria-label": "Kind of attribution" });
    methods.forEach((each, i) => select.append(el("option", { value: i }, each.name)));
    select.value = method;
    select.addEventListener("change", () => {
      method = Number(select.value);
      describe();
      document.getElementById("method").focus();
    });
    return select;
  }

  function attribution() {
    const by = methods[method];
    const values = by.rows[chosen];
    const largest = Math.max(...values.map(Math.abs), 1e-9);
    const strip = el("p", { class: "strip", id: "context" });
    const places = [];
    for (let back = Math.min(values.length, chosen + 1) - 1; back >= 0; back--) {
      const place = chosen - 1 - back;
      const value = values[back];
      const text = pieceBefore(place);
      strip.append(el("span", {
        style: `background: ${by.signed ? signed(value, largest) : shade(value / largest, "--plus")}`,
        title: `${visible(text)}: ${figure(value, 3)}`,
      }, text === "\n" ? "⏎\n" : text === "" ? nameBefore(place) : text));
      places.push([value, place]);
    }
    const goal = tokens[chosen].text;
    strip.append(el("span", { class: "goal" }, goal === "\n" ? "⏎" : goal || tokens[chosen].token));
    places.sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
    const rows = places.slice(0, 5).filter(([value]) => Math.abs(value) >= 5e-4).map(([value, place]) => el("tr", null,
      el("td", null, el("span", { class: "quoted" }, visible(pieceBefore(place), nameBefore(place)))),
      el("td", { class: "number" }, `${chosen - place} back`),
      el("td", { class: "number" }, figure(value, 3))));
    return [
      strip,
      by.signed ? el("p", { class: "note" }, "Blue made it likelier, orange less likely.") : null,
      el("table", { id: "contributions" }, el("tbody", null, ...rows)),
      el("p", { class: "note", id: "attribution-note" }, by.note(chosen)),
    ].filter((part) => part !== null);
  }

  box.addEventListener("click", (event) => {
    const span = event.target.closest("[data-place]");
    if (span) choose(Number(span.dataset.place), true);
  });
  box.addEventListener("keydown", (event) => {
    const to = {
      ArrowRight: chosen + 1, ArrowLeft: chosen - 1, ArrowDown: chosen + 10, ArrowUp: chosen - 10,
      Home: 0, End: count - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(count - 1, to)), true);
  });

  // ---- gates and state ----------------------------------------------------------------

  const section = document.getElementById("gates");
  if (!data.gates.length) {
    section.append(el("p", { class: "note" }, "This model has no gates and no recurrent state."));
  } else {
    section.append(el("p", { class: "note" },
      "A row is a unit, a column what it did while reading the token below. Units are " +
      "evenly chosen from those whose state holds longest (top) to those that forget soonest."));
  }
  data.gates.forEach((layer, number) => section.append(...gateMaps(layer, number)));

  function gateMaps(layer, number) {
    const maps = [
      ...Object.entries(layer.gates).map(([name, map]) => [`${name} gate`, map, name === layer.held_by]),
      ...Object.entries(layer.states).map(([name, map]) => [`state ${name}`, map, false]),
    ];
    const select = el("select", { "aria-label": `Gate or state of layer ${number + 1}` });
    maps.forEach(([name], i) => select.append(el("option", { value: i }, name)));
    select.value = Math.max(0, maps.findIndex((each) => each[2]));
    const canvas = el("canvas", { role: "img" });
    const tip = el("p", { class: "note" }, " ");
    const draw = () => heatMap(canvas, tip, maps[select.value], number);
    select.addEventListener("change", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
    const lives = layer.half_lives;
    const held = lives === null ? null : el("p", null,
      `The ${layer.held_by} gate: half of the units keep half of their state for ` +
      `${steps(lives.median)} or more, a tenth for ${steps(lives.nine_tenths)} or more; ` +
      `the longest ${steps(lives.longest)}. ${lives.over_10} of ${lives.units} units hold ` +
      `longer than 10 ${unit}s, ${lives.over_100} longer than 100.`);
    return [
      el("h3", null, `Layer ${number + 1} `, select), held,
      el("div", { class: "scroll", tabindex: "0" }, canvas), tip,
    ].filter((part) => part !== null);
  }

  function steps(value) {
    return value === null ? "for ever" : `${value < 10 ? figure(value, 1) : whole(Math.round(value))} ${unit}s`;
  }

  function heatMap(canvas, tip, [name, map], number) {
    const gate = name.endsWith("gate");
    const wide = 13;
    const high = Math.max(5, Math.min(10, Math.floor(320 / map.units.length)));
    const label = 18;
    const [width, height] = [count * wide, map.units.length * high + label];
    // Beyond some 32,000 pixels a side browsers draw nothing.
    const scale = Math.min(window.devicePixelRatio || 1, MOST_PIXELS / Math.max(width, height));
    canvas.width = Math.floor(width * scale);
    canvas.height = Math.floor(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const style = getComputedStyle(document.documentElement);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const all = map.values.flat().filter((value) => value !== null).map(Math.abs).sort((a, b) => a - b);
    const largest = gate ? 1 : all[Math.floor(0.99 * (all.length - 1))] || 1;
    map.values.forEach((row, k) => row.forEach((value, i) => {
      if (value === null) return;
      context.globalAlpha = Math.min(1, Math.abs(value) / largest);
      context.fillStyle = style.getPropertyValue(value < 0 ? "--minus" : "--cool");
      context.fillRect(i * wide, k * high, wide - 1, high - 0.5);
    }));
    context.globalAlpha = 1;
    context.fillStyle = style.getPropertyValue("--ink");
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = "center";
    for (let i = 0; i < count; i++) {
      const text = visible(pieceBefore(i - 1), nameBefore(i - 1)).replace(/^␣(?=.)/, "");
      context.fillText([...text][0] || "", (i + 0.5) * wide, height - 5, wide);
    }
    canvas.setAttribute("aria-label", `Heat map of the ${name} of layer ${number + 1}: ` +
      `${map.units.length} of ${map.width} units over ${count} ${unit}s`);
    canvas.onmousemove = (event) => {
      const [i, k] = [Math.floor(event.offsetX / wide), Math.floor(event.offsetY / high)];
      if (i < 0 || i >= count || k < 0 || k >= map.units.length) return;
      const life = map.half_lives === null ? "" : `, half-life ${steps(map.half_lives[k])}`;
      tip.textContent = `${name}, unit ${map.units[k]}${life}; reading ` +
        `“${visible(pieceBefore(i - 1), nameBefore(i - 1))}”: ${figure(map.values[k][i], 3)}`;
    };
    canvas.onclick = (event) => {
      const place = Math.floor(event.offsetX / wide) - 1;
      if (place >= 0 && place < count) choose(place, false);
    };
  }

  // ---- units --------------------------------------------------------------------------

  const units = document.getElementById("units");
  const probes = data.probes.probes;
  units.append(el("p", { class: "note" },
    "A probe reads a property of the place from all units. Figures are areas under the ROC " +
    `curve on ${whole(data.probes.judged)} places that it was not fitted on (0.5 is guessing, ` +
    "1 is perfect); the control is the same probe with shuffled labels."));
  if (probes.length) {
    const head = ["property", "of the places", "probe", "control", "best single unit", "alone", ""];
    const rows = probes.map((probe) => {
      const show = el("button", { type: "button" }, "show over the text");
      show.addEventListener("click", () => {
        chooser.value = colours.findIndex((each) => each.probe === probe);
        paint();
        document.getElementById("text-title").scrollIntoView({ behavior: "smooth" });
        chooser.focus({ preventScroll: true });
      });
      return el("tr", null,
        el("td", null, probe.property), el("td", { class: "number" }, probability(probe.share)),
        el("td", { class: "number" }, figure(probe.area, 3)),
        el("td", { class: "number" }, figure(probe.control, 3)),
        el("td", null, `layer ${probe.layer + 1}, unit ${probe.unit}${probe.sign < 0 ? " (low)" : ""}`),
        el("td", { class: "number" }, figure(probe.unit_area, 3)), el("td", null, show));
    });
    units.append(el("div", { class: "wide" }, el("table", { id: "probes" },
      el("thead", null, el("tr", null, ...head.map((name, i) =>
        el("th", [1, 2, 3, 5].includes(i) ? { class: "number" } : null, name)))),
      el("tbody", null, ...rows))));
  }

  // ---- curves -------------------------------------------------------------------------

  function axes(name, x, y, xName, yName) {
    const plot = svg("svg", { viewBox: "0 0 480 300", role: "img", "aria-label": name });
    plot.append(svg("path", { class: "axis", d: "M60 14V254H466" }));
    for (const [value, label] of x.ticks) {
      plot.append(svg("text", { x: x.at(value), y: 272, "text-anchor": "middle" }, label));
    }
    for (const [value, label] of y.ticks) {
      plot.append(svg("path", { class: "axis", d: `M60 ${y.at(value)}H466` }),
        svg("text", { x: 54, y: y.at(value) + 4, "text-anchor": "end" }, label));
    }
    plot.append(svg("text", { x: 263, y: 293, "text-anchor": "middle" }, xName),
      svg("text", { x: 14, y: 134, "text-anchor": "middle", transform: "rotate(-90 14 134)" }, yName));
    return plot;
  }

  function evenly(low, high) {
    const size = 10 ** Math.floor(Math.log10((high - low) / 3));
    const step = [1, 2, 5, 10].map((k) => k * size).find((each) => (high - low) / each <= 5);
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    const ticks = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9; k++) {
      ticks.push([k * step, (k * step).toFixed(digits)]);
    }
    return ticks;
  }

  function curve(points) {
    return "M" + points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L");
  }

  function figures(head, rows) {
    return el("details", null, el("summary", null, "figures"), el("table", null,
      el("thead", null, el("tr", null, ...head.map((name) => el("th", { class: "number" }, name)))),
      el("tbody", null, ...rows.map((row) => el("tr", null,
        ...row.map((value) => el("td", { class: "number" }, value)))))));
  }

  const memory = document.getElementById("memory");
  if (data.memory === null) {
    memory.append(el("p", { class: "note" }, "The text is too short to measure it."));
  } else {
    const { contexts, nats, errors, whole: level, effective, near } = data.memory;
    const [low, high] = [Math.min(level, ...nats), Math.max(...nats)];
    const margin = 0.08 * (high - low || 1);
    const last = contexts.length - 1;
    const x = { at: (k) => 76 + (374 * k) / Math.max(last, 1), ticks: contexts.map((c, k) => [k, c]) };
    const y = {
      at: (v) => 254 - (240 * (v - low + margin)) / (high - low + 2 * margin),
      ticks: evenly(low - margin, high + margin),
    };
    const plot = axes("Loss against the length of context kept", x, y,
      `${unit}s of context kept`, `nats a ${unit}`);
    nats.forEach((value, k) => plot.append(svg("path", {
      class: "curve", d: `M${x.at(k)} ${y.at(value - errors[k])}V${y.at(value + errors[k])}`,
    })));
    plot.append(svg("path", { class: "level", d: `M60 ${y.at(level)}H466` }),
      svg("text", { class: "level-name", x: 464, y: y.at(level) - 6, "text-anchor": "end" },
        `whole text before: ${figure(level, 3)}`),
      svg("path", { class: "curve", d: curve(nats.map((v, k) => [x.at(k), y.at(v)])) }),
      ...nats.map((v, k) => svg("circle", { class: "dot", cx: x.at(k), cy: y.at(v), r: 3.5 })));
    memory.append(
      el("p", null, effective === null
        ? `Even ${contexts[last]} ${unit}s lose more than ${near} nats against the whole text.`
        : `${effective} ${unit}${effective === 1 ? "" : "s"} of context come within ${near} nats of the whole text.`),
      el("div", { class: "figure" }, plot),
      el("p", { class: "note" }, `Loss of the same ${whole(data.memory.predictions)} predictions, each made ` +
        "anew from a zero state after the last tokens alone; bars are standard errors of the " +
        "difference from the whole text."),
      figures(["context", "nats", "bits", "standard error"], contexts.map((c, k) =>
        [c, figure(nats[k], 4), figure(nats[k] / Math.LN2, 4), figure(errors[k], 4)])));
  }

  const reliable = document.getElementById("calibration");
  {
    const { confidence, accuracy, counts, error, predictions } = data.calibration;
    const x = { at: (v) => 60 + 400 * v, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1].map((v) => [v, v]) };
    const y = { at: (v) => 254 - 236 * v, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1].map((v) => [v, v]) };
    const plot = axes("Reliability of the likeliest token", x, y,
      "probability of the likeliest token", "how often it came");
    const most = Math.max(...counts);
    counts.forEach((n, k) => plot.append(svg("rect", {
      class: "box", x: x.at(k / counts.length) + 1, width: 400 / counts.length - 2,
      y: 254 - (70 * n) / most, height: (70 * n) / most,
    })));
    const points = counts.map((n, k) => [n, confidence[k], accuracy[k]]).filter((each) => each[0]);
    plot.append(svg("path", { class: "level", d: `M${x.at(0)} ${y.at(0)}L${x.at(1)} ${y.at(1)}` }),
      svg("path", { class: "curve", d: curve(points.map(([, c, a]) => [x.at(c), y.at(a)])) }),
      ...points.map(([, c, a]) => svg("circle", { class: "dot", cx: x.at(c), cy: y.at(a), r: 3.5 })));
    reliable.append(
      el("p", null, `Expected calibration error ${figure(error, 4)} on ${whole(predictions)} predictions.`),
      el("div", { class: "figure" }, plot),
      el("p", { class: "note" }, "A model that means what it says lies on the broken line. Boxes: " +
        "how many predictions there are of each probability."),
      figures(["probability", "came", "predictions"], counts.map((n, k) =>
        [figure(confidence[k], 3), figure(accuracy[k], 3), whole(n)])));
  }

  // ---- what there is not --------------------------------------------------------------

  const missing = document.getElementById("missing");
  missing.append(el("ul", null, ...data.missing.map((sentence) => el("li", null, sentence))));
  missing.hidden = !data.missing.length;

  paint();
  const most = tokens.reduce((best, token, i) => (token.bits > tokens[best].bits ? i : best), 0);
  choose(most, false);
  document.documentElement.dataset.ready = "true";
})();
