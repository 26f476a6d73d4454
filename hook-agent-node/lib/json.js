'use strict';
// From a value to the JSON text that is handed over. Nothing in an event makes a call throw but its size: a value that
// JSON has no form for is written in another one, and counted.
//
// | Value | Form |
// |---|---|
// | `Error` | object: `name`, `message`, `stack`, and `code`, `cause`, `errors` where they are |
// | `Map` | object if its keys are texts, else an array of pairs |
// | `Set`, typed array | array |
// | `Date` | ISO 8601, or `Invalid Date` |
// | `Buffer`, `Uint8Array`, `ArrayBuffer`, `DataView` | text if they are UTF-8, else `base64:` and their Base64 |
// | `BigInt` | number |
// | NaN, infinities, functions, symbols, regular expressions, promises and the like | text |
// | `undefined` | `null` in an array; as a member it is left out |
// | a getter that throws | `[unreadable]`; a `toJSON` that does so is not used |
// | text with lone surrogates | the text, with U+FFFD for each of them |
// | what contains itself, or is too deep | `[circular]`, `[nested deeper than 120 levels]` |
//
// Everything else is written as `JSON.stringify` writes it.

const { inspect, types } = require('node:util');
const { HookAgentError } = require('./error.js');

/** The service takes 126 levels around and within an event. */
const MAX_DEPTH = 120;
const MAX_BYTES = 10 * 1024 * 1024;
/** A value of more parts is written part by part, which ends at `MAX_BYTES`. */
const MAX_QUICK = 1_000_000;
const CIRCULAR = '[circular]';
const TOO_DEEP = `[nested deeper than ${MAX_DEPTH} levels]`;
const UNREADABLE = '[unreadable]';
const ERROR_MEMBERS = ['name', 'message', 'stack', 'code', 'cause', 'errors'];

let left = 0;

/** The text of an object, and how many values of it are written in another form. */
function toJson(value, call) {
  return quickly(value) ?? partByPart(value, call);
}

/** Most events are plain data, for which `JSON.stringify` is right. */
function quickly(value) {
  try {
    left = MAX_QUICK;
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !isPlain(value, 0)) return undefined;
    const json = JSON.stringify(value);
    // Lone surrogates are replaced; an escaped backslash before `ud` is no harm.
    return json.includes('\\ud') ? undefined : { json, coerced: 0 };
  } catch {
    return undefined; // A getter or a proxy has thrown: which one, the other way finds out.
  }
}

/** Without closures, and by `typeof` first: it is part of each call's price. */
function isPlain(value, depth) {
  left -= 1;
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return left > 0;
    case 'number':
      return Number.isFinite(value) && left > 0;
    case 'object':
      return value === null ? left > 0 : depth < MAX_DEPTH && hasPlainParts(value, depth + 1);
    default:
      return false;
  }
}

/** A hole of an array is `undefined`, which is not plain. */
function hasPlainParts(value, depth) {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      if (!isPlain(value[index], depth)) return false;
    }
    return true;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key in value) {
    if (!isPlain(value[key], depth)) return false;
  }
  return true;
}

function partByPart(value, call) {
  const writer = new Writer(call);
  const json = writer.value(value, '') ?? writer.nothing();
  if (json.startsWith('{')) return { json, coerced: writer.coerced };
  return { json: `{"value":${json}}`, coerced: writer.coerced + 1 };
}

class Writer {
  coerced = 0;
  #call;
  #bytes = 0;
  #depth = 0;
  /** What is being written, outermost first. */
  #within = [];
  #tooLarge;

  constructor(call) {
    this.#call = call;
  }

  /** Its text; `undefined` if it is left out. */
  value(value, key) {
    switch (typeof value) {
      case 'string':
        return this.#string(value);
      case 'boolean':
        return this.#add(String(value));
      case 'number':
        return Number.isFinite(value) ? this.#add(JSON.stringify(value)) : this.#other(String(value));
      case 'bigint':
        this.coerced += 1;
        return this.#add(String(value));
      case 'undefined':
        this.coerced += 1;
        return undefined;
      case 'function':
        return this.#other(`[Function: ${nameOf(value)}]`);
      case 'symbol':
        return this.#other(String(value));
      default:
        return value === null ? this.#add('null') : this.#once(value, () => this.#object(value, key));
    }
  }

  /** In an array, and as a whole event. */
  nothing() {
    return this.#add('null');
  }

  #add(text) {
    this.#bytes += text.length;
    if (this.#bytes <= MAX_BYTES) return text;
    const size = `of more than ${MAX_BYTES} bytes is larger than the service takes`;
    this.#tooLarge = new HookAgentError('event_too_large', `\`${this.#call}\` ${size}`);
    throw this.#tooLarge;
  }

  #string(text) {
    if (text.isWellFormed()) return this.#add(JSON.stringify(text));
    return this.#other(text.toWellFormed());
  }

  /** The form of a value that JSON has none for. */
  #other(text) {
    this.coerced += 1;
    return this.#add(JSON.stringify(text));
  }

  /** What contains itself is cut where it comes again; what throws is `[unreadable]`. */
  #once(value, write) {
    if (this.#within.includes(value)) return this.#other(CIRCULAR);
    const [depth, within] = [this.#depth, this.#within.length];
    this.#within.push(value);
    try {
      return write();
    } catch (error) {
      if (this.#tooLarge !== undefined) throw this.#tooLarge;
      return this.#other(UNREADABLE);
    } finally {
      this.#depth = depth;
      this.#within.length = within;
    }
  }

  #object(value, key) {
    if (types.isBoxedPrimitive(value)) return this.value(value.valueOf(), key);
    const form = this.#builtIn(value) ?? this.#ownForm(value, key);
    if (form === undefined) return this.#members(value);
    return form.text;
  }

  /** The form of what the language brings: `{ text }`, or nothing if it is none of these. */
  #builtIn(value) {
    if (types.isDate(value)) return { text: this.#other(dateText(value)) };
    if (types.isRegExp(value)) return { text: this.#other(RegExp.prototype.toString.call(value)) };
    if (types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) return { text: this.#binary(value) };
    if (types.isSet(value)) return { text: this.#as(() => this.#array([...Set.prototype.values.call(value)])) };
    if (types.isMap(value)) return { text: this.#as(() => this.#map([...Map.prototype.entries.call(value)])) };
    if (types.isNativeError(value) || value instanceof Error) return { text: this.#as(() => this.#error(value)) };
    return undefined;
  }

  #as(write) {
    this.coerced += 1;
    return write();
  }

  /** What its `toJSON` makes of it; nothing if there is none, or it throws. */
  #ownForm(value, key) {
    let form;
    try {
      if (typeof value.toJSON !== 'function') return undefined;
      form = value.toJSON(key);
    } catch {
      this.coerced += 1;
      return undefined;
    }
    if (form === value) return undefined;
    const isObject = typeof form === 'object' && form !== null;
    // The form's own `toJSON` is not asked, or one that always makes another object would never end.
    return { text: isObject ? this.#once(form, () => this.#builtIn(form)?.text ?? this.#members(form)) : this.value(form, key) };
  }

  #members(value) {
    if (Array.isArray(value)) return this.#array(value);
    const keys = Object.keys(value);
    if (keys.length === 0 && isOpaque(value)) return this.#other(inspect(value, { depth: 0, breakLength: Infinity }));
    return this.#entries(keys.map((key) => [key, () => value[key]]));
  }

  #error(error) {
    const has = (key) => key === 'name' || key === 'message' || (key in error && error[key] !== undefined);
    return this.#entries(ERROR_MEMBERS.filter((key) => readable(() => has(key))).map((key) => [key, () => error[key]]));
  }

  #map(entries) {
    if (!entries.every(([key]) => typeof key === 'string')) return this.#array(entries);
    return this.#entries(entries.map(([key, value]) => [key, () => value]));
  }

  /** Each member is read by itself: one that throws leaves the others. */
  #entries(entries) {
    if (!this.#enter()) return this.#other(TOO_DEEP);
    const members = [];
    for (const [key, read] of entries) {
      let member;
      try {
        member = read();
      } catch {
        members.push(`${this.#string(key)}:${this.#other(UNREADABLE)}`);
        continue;
      }
      const text = this.value(member, key);
      if (text !== undefined) members.push(`${this.#string(key)}:${text}`);
    }
    return this.#leave(`{${members.join()}}`);
  }

  #array(array) {
    if (!this.#enter()) return this.#other(TOO_DEEP);
    const items = [];
    for (let index = 0; index < array.length; index += 1) {
      items.push(this.value(array[index], String(index)) ?? this.nothing());
    }
    return this.#leave(`[${items.join()}]`);
  }

  #enter() {
    if (this.#depth === MAX_DEPTH) return false;
    this.#depth += 1;
    return true;
  }

  #leave(text) {
    this.#depth -= 1;
    this.#add('{}');
    return text;
  }

  #binary(value) {
    const isBytes = types.isAnyArrayBuffer(value) || types.isUint8Array(value) || types.isDataView(value);
    if (!isBytes) return this.#as(() => this.#array(value));
    const bytes = ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.from(value);
    return this.#other(asText(bytes));
  }
}

/** An object of a kind that keeps what it has where `JSON.stringify` sees none of it. */
function isOpaque(value) {
  return Object.prototype.toString.call(value) !== '[object Object]';
}

function nameOf(value) {
  const name = readable(() => value.name);
  return typeof name === 'string' && name !== '' ? name : '(anonymous)';
}

/** What is read; true if that throws, as then there is something. */
function readable(read) {
  try {
    return read();
  } catch {
    return true;
  }
}

function dateText(date) {
  const time = Date.prototype.getTime.call(date);
  return Number.isNaN(time) ? 'Invalid Date' : new Date(time).toISOString();
}

function asText(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `base64:${bytes.toString('base64')}`;
  }
}

module.exports = { toJson };
