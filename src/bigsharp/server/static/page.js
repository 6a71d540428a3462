// The page of `bigsharp serve`: pictures become jobs of the service, and are shown before and after.

const $ = (selector, within = document) => within.querySelector(selector);
const SIZES = ["width", "height", "fit", "min-side", "megapixels"]; // instead of a scale
const AT_ONCE = 4;

const written = location.hash.match(/^#token=(.*)/)?.[1];
let token = unquoted(written);
const form = $("#asked");
const pictures = new Map(); // by list item, oldest first
let sending = 0;
const waiting = [];

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** What was quoted, or is as it was. */
function unquoted(text) {
  try { return text && decodeURIComponent(text); } catch { return text; }
}

/** Tell screen readers, and everybody what concerns the whole page. */
function say(text, seen = false) {
  $("#news").textContent = text;
  $("#news").classList.toggle("unseen", !seen);
}

/** Ask the service; a refusal becomes an Error of its sentence. */
async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the service cannot be reached");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let said = `the service answered ${answer.status}`;
  try { said = JSON.parse(text).error; } catch { /* It came from something in between. */ }
  throw Object.assign(new Error(said), {
    status: answer.status, wait: Number(answer.headers.get("Retry-After")),
  });
}

// What is asked for

function control(name, schema) {
  const kind = schema.enum || schema.type === "boolean" && schema.default === undefined
    ? "select" : "input";
  const field = Object.assign(document.createElement(kind), { name, id: `option-${name}` });
  if (kind === "select") {
    const choices = schema.enum ?? ["true", "false"];
    if (schema.default === undefined) field.append(new Option("as the picture", ""));
    choices.forEach((choice) => {
      const chosen = choice === schema.default;
      field.append(new Option(choice, choice, chosen, chosen));
    });
  } else if (schema.type === "boolean") {
    Object.assign(field, { type: "checkbox", defaultChecked: schema.default });
  } else if (schema.type !== "string") {
    Object.assign(field, { type: "number", min: 0, step: schema.type === "integer" ? 1 : "any" });
  }
  return field;
}

function row(name, schema) {
  const [box, label, hint] = ["div", "label", "span"].map((kind) => document.createElement(kind));
  const field = control(name, schema);
  label.htmlFor = field.id;
  label.textContent = name.replace("-", " ");
  Object.assign(hint, { className: "hint", id: `${field.id}-hint` });
  hint.textContent = schema.description.replace(/\bIN\b/g, "the picture").replaceAll("--", "");
  field.setAttribute("aria-describedby", hint.id);
  box.append(label, field, hint);
  return box;
}

async function fill() {
  const [described, models] = await Promise.all(
    ["openapi.json", "v1/models"].map(async (path) => (await ask(path)).json()),
  );
  const { file, scale, model, format, ...others } = described.paths["/v1/upscale"].post.requestBody
    .content["multipart/form-data"].schema.properties;
  for (const { name } of models) {
    form.model.append(new Option(name, name, name === model.default, name === model.default));
  }
  for (const name of format.enum) form.format.append(new Option(name, name));
  for (const [name, schema] of Object.entries(others)) $("#more").append(row(name, schema));
  const summarise = () => {
    $("#summary").textContent = models.find(({ name }) => name === form.model.value).summary;
  };
  form.model.addEventListener("change", summarise);
  summarise();
}

/** The options that are not as they are by default; browsers keep to themselves what is no number. */
function asked() {
  const options = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    if (field.validity.badInput) throw new Error(`--${field.name}: that is no number`);
    if (field.type === "checkbox") {
      if (field.checked !== field.defaultChecked) options[field.name] = String(field.checked);
    } else if (field.value.trim() !== "") {
      options[field.name] = field.value.trim();
    }
  }
  return options;
}

form.addEventListener("input", ({ target }) => {
  if (target.id === "slider") form.scale.value = target.value;
  if (target.id === "scale" && target.value) $("#slider").value = target.value;
  const sized = SIZES.some((name) => form.elements[name]?.value);
  form.scale.disabled = $("#slider").disabled = sized;
});
form.addEventListener("submit", (event) => event.preventDefault());

// One picture

class Picture {
  constructor(file) {
    this.file = file;
    this.item = $("#picture").content.cloneNode(true).firstElementChild;
    this.part = (name) => $(`.${name}`, this.item);
    this.before = URL.createObjectURL(file);
    $("h3", this.item).textContent = file.name;
    this.part("split").setAttribute("aria-label", `${file.name}: share shown as it was before`);
    for (const name of ["whole", "exact", "again", "remove"]) {
      this.part(name).setAttribute("aria-label", `${this.part(name).textContent} ${file.name}`);
    }
    this.part("copy").setAttribute("aria-label", `Copy the command line for ${file.name}`);
    this.part("remove").addEventListener("click", () => this.remove());
    this.part("again").addEventListener("click", () => {
      this.wait();
      $("h3", this.item).focus(); // The button is hidden while it waits.
    });
    this.part("copy").addEventListener("click", () => this.copy());
    this.viewer = new Viewer(this.part("shown"), this.part("whole"), this.part("exact"));
    pictures.set(this.item, this);
    $("#pictures").prepend(this.item);
    this.wait();
  }

  /** Let it wait its turn, with the options as they are now. */
  wait() {
    this.forget();
    try {
      this.options = asked();
      this.show({ state: "waiting", progress: 0, error: null });
      waiting.push(this);
      next();
    } catch (error) {
      this.fail(error);
    }
    showAll();
  }

  fail({ message }) {
    this.show({ state: "failed", progress: 0, error: message });
    say(message);
  }

  /** Have it done; whatever happens is shown, and nothing thrown. */
  async run() {
    const { signal } = this.stop = new AbortController();
    try {
      const job = await this.follow(await this.send(signal), signal);
      if (job.state !== "done") throw new Error(job.error);
      this.blob = await (await ask(`v1/jobs/${job.id}/result`, { signal })).blob();
      this.take(job);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.fail(error);
    }
    showAll();
  }

  async send(signal) {
    const body = new FormData();
    for (const [name, value] of Object.entries(this.options)) body.append(name, value);
    body.append("file", this.file, this.file.name);
    for (;;) {
      // Of a body that it cannot read fetch says no more than of a service that is not there.
      await this.file.slice(0, 1).arrayBuffer().catch(() => {
        throw new Error(`${this.file.name}: cannot be read; it is a folder, or was changed or removed`);
      });
      try {
        return await (await ask("v1/jobs", { method: "POST", body, signal })).json();
      } catch (error) {
        if (error.status !== 429) throw error;
        await sleep(error.wait);
        signal.throwIfAborted();
      }
    }
  }

  /** The job as it has ended; EventSource could not send the token. */
  async follow(job, signal) {
    this.id = job.id;
    this.show(job);
    const { body } = await ask(`v1/jobs/${job.id}/events`, { signal });
    let left = "";
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; !(part = await reader.read()).done;) {
      const events = (left + part.value).split("\n\n");
      left = events.pop();
      for (const event of events.filter((text) => text.startsWith("data: "))) {
        job = JSON.parse(event.slice(6));
        this.show(job);
      }
    }
    if (!["done", "failed", "deleted"].includes(job.state)) throw new Error("the service has gone");
    return job;
  }

  show({ state, progress, error, command, said }) {
    this.said = said ? `; ${said}` : "";
    const running = state === "running";
    this.part("state").textContent = running ? `${Math.round(100 * progress)} %` : state;
    $("progress", this.item).value = progress;
    $("progress", this.item).hidden = !["running", "queued", "waiting"].includes(state);
    $("progress", this.item).setAttribute("aria-label", `Progress of ${this.file.name}`);
    this.part("error").textContent = error ?? "";
    this.part("error").hidden = !error;
    $("code", this.item).textContent = command ?? "";
    this.part("command").hidden = !command;
    for (const name of ["shown", "download", "whole", "exact"]) {
      this.part(name).hidden = state !== "done" || !this.after;
    }
    this.part("again").hidden = !["done", "failed"].includes(state);
  }

  take(job) {
    this.name = job.result;
    this.after = URL.createObjectURL(this.blob);
    Object.assign(this.part("download"), { href: this.after, download: job.result });
    this.part("download").setAttribute("aria-label", `Download ${job.result}`);
    this.show(job);
    this.viewer.load(this.before, this.after, this.file.name).then(
      () => {
        const size = `${this.viewer.width} × ${this.viewer.height}`;
        this.part("state").textContent = `done, ${size}${this.said}`;
      },
      () => {
        for (const name of ["shown", "whole", "exact"]) this.part(name).hidden = true;
        this.part("state").textContent = "done; this browser does not show its format";
      },
    );
    say(`${this.file.name} is done`);
  }

  forget() {
    this.stop?.abort();
    if (this.id) ask(`v1/jobs/${this.id}`, { method: "DELETE" }).catch(() => {});
    if (this.after) URL.revokeObjectURL(this.after);
    this.id = this.after = this.blob = undefined;
  }

  remove() {
    this.forget();
    URL.revokeObjectURL(this.before);
    if (waiting.includes(this)) waiting.splice(waiting.indexOf(this), 1);
    pictures.delete(this.item);
    this.item.remove();
    say(`${this.file.name} is removed`);
    ($(".remove") ?? $("#files")).focus();
    showAll();
  }

  async copy() {
    const text = $("code", this.item).textContent;
    try {
      await navigator.clipboard.writeText(text);
      say("copied");
    } catch { // Only pages of this machine, or by HTTPS, may.
      getSelection().selectAllChildren($("code", this.item));
    }
  }
}

// Before and after, at any zoom

class Viewer {
  constructor(shown, whole, exact) {
    this.box = $(".viewer", shown);
    this.split = $(".split", shown);
    this.images = [...this.box.querySelectorAll("img")];
    this.split.addEventListener("input", () => this.draw());
    whole.addEventListener("click", () => this.fit());
    exact.addEventListener("click", () => this.zoomTo(1 / devicePixelRatio));
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("dblclick", (event) =>
      this.zoom > this.least ? this.fit() : this.zoomTo(1 / devicePixelRatio, ...this.at(event)));
    this.box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // The page scrolls.
      event.preventDefault();
      this.zoomTo(this.zoom * 2 ** (-event.deltaY / 200), ...this.at(event));
    }, { passive: false });
    this.pointers = new Map(); // where each is that is down
    this.box.addEventListener("pointerdown", (event) => {
      this.pointers.set(event.pointerId, this.at(event));
      this.box.setPointerCapture(event.pointerId);
    });
    this.box.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.box.addEventListener(end, ({ pointerId }) => this.pointers.delete(pointerId));
    }
    this.box.addEventListener("touchstart", (event) => {
      if (event.touches.length > 1) event.preventDefault(); // The page would scroll.
    }, { passive: false });
    new ResizeObserver(() => this.width && this.fit()).observe(this.box);
  }

  async load(before, after, name) {
    const [large, small] = this.images;
    [large.src, small.src] = [after, before];
    [large.alt, small.alt] = [`${name}, enlarged`, `${name}, before`];
    this.box.setAttribute("aria-label",
      `${name}, before and after; plus and minus zoom, 0 shows the whole, 1 its pixels, arrows move`);
    await large.decode();
    [this.width, this.height] = [large.naturalWidth, large.naturalHeight];
    this.box.style.aspectRatio = `${this.width} / ${this.height}`;
    this.box.parentElement.style.maxWidth = `max(${this.width / devicePixelRatio}px, 20rem)`;
    small.decode().catch(() => { this.split.value = 0; this.split.disabled = true; this.draw(); });
    this.fit();
  }

  fit() {
    const { width, height } = this.box.getBoundingClientRect();
    this.least = Math.min(width / this.width, height / this.height, 1 / devicePixelRatio);
    this.zoomTo(this.least);
  }

  /** Zoom so that a point of the box, its middle by default, stays where it is. */
  zoomTo(zoom, x = this.box.clientWidth / 2, y = this.box.clientHeight / 2) {
    const before = this.zoom || zoom;
    this.zoom = Math.min(Math.max(zoom, this.least), 8);
    const ratio = this.zoom / before;
    [this.x, this.y] = [x - (x - (this.x || 0)) * ratio, y - (y - (this.y || 0)) * ratio];
    this.move(0, 0);
  }

  /** The place of an event in the box. */
  at({ clientX, clientY }) {
    const { left, top } = this.box.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  /** One pointer moves the picture, two zoom it: what is under the other stays there. */
  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    this.pointers.set(event.pointerId, now);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const far = ([x, y]) => Math.max(Math.hypot(x - other[0], y - other[1]), 1);
      this.zoomTo(this.zoom * far(now) / far(before), ...other);
    } else {
      this.move(now[0] - before[0], now[1] - before[1]);
    }
  }

  move(dx, dy) {
    const within = (place, inside, outside) => inside <= outside
      ? (outside - inside) / 2 : Math.min(0, Math.max(outside - inside, place));
    const { width, height } = this.box.getBoundingClientRect();
    this.x = within(this.x + dx, this.width * this.zoom, width);
    this.y = within(this.y + dy, this.height * this.zoom, height);
    this.draw();
  }

  draw() {
    for (const { style } of this.images) {
      style.width = `${this.width * this.zoom}px`;
      style.height = `${this.height * this.zoom}px`;
      style.transform = `translate(${this.x}px, ${this.y}px)`;
    }
    this.box.classList.toggle("zoomed", this.zoom > this.least * 1.001);
    $(".cover", this.box).style.clipPath = `inset(0 ${100 - this.split.value}% 0 0)`;
    $(".bar", this.box).style.left = `${this.split.value}%`;
  }

  key(event) {
    const step = 60;
    const act = {
      "+": () => this.zoomTo(this.zoom * 1.25), "=": () => this.zoomTo(this.zoom * 1.25),
      "-": () => this.zoomTo(this.zoom / 1.25), 0: () => this.fit(),
      1: () => this.zoomTo(1 / devicePixelRatio),
      ArrowLeft: () => this.move(step, 0), ArrowRight: () => this.move(-step, 0),
      ArrowUp: () => this.move(0, step), ArrowDown: () => this.move(0, -step),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  }
}

// All of them

function next() {
  while (sending < AT_ONCE && waiting.length) {
    sending += 1;
    waiting.shift().run().finally(() => { sending -= 1; next(); });
  }
}

function add(files) {
  for (const file of files) new Picture(file);
}

function showAll() {
  $("#results").hidden = pictures.size === 0;
  $("#all").disabled = ![...pictures.values()].some(({ blob }) => blob);
}

$("#files").addEventListener("change", ({ target }) => {
  add([...target.files]);
  target.value = "";
});
addEventListener("paste", ({ clipboardData }) => add([...clipboardData.files]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("#drop").classList.add("over");
});
addEventListener("dragleave", () => $("#drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("#drop").classList.remove("over");
  add([...event.dataTransfer.files]);
});
$("#all").addEventListener("click", async () => {
  const link = document.createElement("a");
  const taken = new Map();
  for (const { name, blob } of pictures.values()) {
    if (!blob) continue;
    let unique = name;
    for (let k = 2; taken.has(unique); k += 1) unique = name.replace(/(\.\w+)?$/, `-${k}$1`);
    taken.set(unique, new Uint8Array(await blob.arrayBuffer()));
  }
  Object.assign(link, { href: URL.createObjectURL(zip(taken)), download: "bigsharp.zip" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});

// A zip of what is compressed already: PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16

const CRC = Uint32Array.from({ length: 256 }, (_, k) => {
  for (let bit = 0; bit < 8; bit += 1) k = k & 1 ? 0xedb88320 ^ (k >>> 1) : k >>> 1;
  return k;
});

function crc32(bytes) {
  let value = -1;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ -1) >>> 0;
}

/** Little-endian numbers: [bytes, value] each. */
function numbers(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    size === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

function zip(files) {
  const [parts, directory, day] = [[], [], 0x21]; // 1 January 1980
  let at = 0;
  const put = (list, ...blocks) => {
    list.push(...blocks);
    return blocks.reduce((sum, block) => sum + block.length, 0);
  };
  let listed = 0;
  for (const [name, bytes] of files) {
    const text = new TextEncoder().encode(name);
    const common = numbers([2, 20], [2, 0x800], [2, 0], [2, 0], [2, day], [4, crc32(bytes)],
      [4, bytes.length], [4, bytes.length], [2, text.length], [2, 0]);
    listed += put(directory, numbers([4, 0x02014b50], [2, 20]), common,
      numbers([2, 0], [2, 0], [2, 0], [4, 0], [4, at]), text);
    at += put(parts, numbers([4, 0x04034b50]), common, text, bytes);
  }
  const end = numbers([4, 0x06054b50], [2, 0], [2, 0], [2, files.size], [2, files.size],
    [4, listed], [4, at], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

fill().catch((error) => {
  if (error.status !== 401 || token === written) throw error;
  token = written; // By hand, and not quoted.
  return fill();
}).catch((error) => say(
  error.status === 401 ? "This service wants its token: open the page as …/#token=TOKEN" : error.message,
  true,
));
