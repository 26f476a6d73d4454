// The service's deep merge and dotted keys, on immutable values.

import { Digits, parseJson } from '../../wire/digits';
import { isFields, type Fields, type Json } from '../../wire/json';

/** Returns a copy with one key set. This form treats a key such as `__proto__` like any other key. */
export function withKey(target: Fields, key: string, value: Json): Fields {
  return { ...target, [key]: value };
}

/** Merges objects recursively; arrays and scalars replace, and null is stored as null. */
export function deepMerge(target: Fields, patch: Fields): Fields {
  const merged = Object.entries(patch).map(([key, value]): [string, Json] => {
    const old = own(target, key);
    return [key, isFields(old) && isFields(value) ? deepMerge(old, value) : value];
  });
  return { ...target, ...Object.fromEntries(merged) };
}

/** Sets a dotted key such as `a.b.c`; the string `"+N"` adds N to a number. */
export function setDotted(target: Fields, path: string, value: Json): Fields {
  const dot = path.indexOf('.');
  if (dot < 0) return withKey(target, path, increment(own(target, path), value));
  const head = path.slice(0, dot);
  const inner = own(target, head);
  return withKey(target, head, setDotted(isFields(inner) ? inner : {}, path.slice(dot + 1), value));
}

function own(target: Fields, key: string): Json | undefined {
  return Object.hasOwn(target, key) ? target[key] : undefined;
}

function increment(old: Json | undefined, value: Json): Json {
  if (typeof value !== 'string' || !value.startsWith('+')) return value;
  const amount = Number(value.slice(1));
  const base = old ?? 0;
  if (!(typeof base === 'number' || base instanceof Digits) || value.length === 1 || !Number.isFinite(amount))
    return value;
  const [left, right] = [String(base), value.slice(1)];
  if (!/^-?\d+$/.test(left) || !/^[+-]?\d+$/.test(right)) return Number(left) + amount;
  return parseJson(String(BigInt(left) + BigInt(right.replace(/^\+/, '')))) as Json;
}
