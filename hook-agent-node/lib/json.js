'use strict';
// Converts a value to the JSON text of an event. A call throws only if the event is too large: a value that
// JSON has no form for is written in another form, and counted.
//
// | Value | Form |
// |---|---|
// | `Error` | object: `name`, `message`, `stack`, and `code`, `cause`, `errors` where they are |
// | `Map` | object if all keys are strings, else an array of pairs |
// | `Set`, typed array | array |
// | `Date` | ISO 8601, or `Invalid Date` |
// | `Buffer`, `Uint8Array`, `ArrayBuffer`, `DataView` | text if it is UTF-8, else `base64:` and the Base64 |
// | `BigInt` | number |
// | NaN, infinities, functions, symbols, regular expressions, promises and the like | text |
// | `undefined` | `null` in an array; left out as a member |
// | a getter that throws | `[unreadable]`; a `toJSON` that throws is not used |
// | text with lone surrogates | the text, with U+FFFD for each of them |
// | a circular reference, or a value nested too deep | `[circular]`, `[nested deeper than 120 levels]` |
//
// Everything else is written as `JSON.stringify` writes it.

const { inspect, types } = require('node:util');
const { HookAgentError } = require('./error.js');

/** The service accepts 126 levels, including those around the event. */
const MAX_DEPTH = 120;
/** The native half knows how much of it may be left without the long values, which become blobs. */
const MAX_BYTES = 32 * 1024 * 1024;
/** A value with more parts is written part by part, which stops at `MAX_BYTES`. */
const MAX_QUICK = 1_000_000;
const CIRCULAR = '[circular]';
const TOO_DEEP = `[nested deeper than ${MAX_DEPTH} levels]`;
const UNREADABLE = '[unreadable]';
const ERROR_MEMBERS = ['name', 'message', 'stack', 'code', 'cause', 'errors'];

let left = 0;

/** Returns the JSON text of an object, and the number of values written in another form. */
function toJson(value, call) {
  return quickly(value) ?? partByPart(value, call);
}

/** Most events are plain data, for which `JSON.stringify` is correct. */
function quickly(value) {
  try {
    left = MAX_QUICK;
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !isPlain(value, 0)) return undefined;
    const json = JSON.stringify(value);
    // Lone surrogates must be replaced. An escaped backslash before `ud` also matches, which is harmless.
    return json.includes('\\ud') ? undefined : { json, coerced: 0 };
  } catch {
    return undefined; // A getter or a proxy threw; the part-by-part writer finds out which one.
  }
}

/** Whether a value is plain data. Every call pays for this: no closures, and `typeof` is tested first. */
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

/** Whether all parts of a value are plain. A hole in an array is `undefined`, which is not plain. */
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
  /** The objects being written, outermost first. */
  #within = [];
  #tooLarge;

  constructor(call) {
    this.#call = call;
  }

  /** Returns the JSON text of a value; `undefined` if it is left out. */
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

  /** Writes `null` for a value that is left out, in an array or as the whole event. */
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

  /** Writes text for a value that JSON has no form for, and counts it. */
  #other(text) {
    this.coerced += 1;
    return this.#add(JSON.stringify(text));
  }

  /** Writes an object: `[circular]` if it is being written already, `[unreadable]` if writing it throws. */
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

  /** Writes a built-in type; returns `{ text }`, or undefined if the value is not one. */
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

  /** Writes the result of the value's `toJSON`; returns undefined if it has none, or if it throws. */
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
    // The result's own `toJSON` is not called: one that always returns another object would never end.
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

  /** Writes members. Each is read separately, so that one that throws does not affect the others. */
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

/** Whether an object is of a kind whose content `JSON.stringify` does not see. */
function isOpaque(value) {
  return Object.prototype.toString.call(value) !== '[object Object]';
}

function nameOf(value) {
  const name = readable(() => value.name);
  return typeof name === 'string' && name !== '' ? name : '(anonymous)';
}

/** Returns what `read` returns, or true if it throws, because then there is something. */
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
