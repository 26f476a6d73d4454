// JSON of unknown structure: functions that check a value's type before they use it.

import { Digits, stringify, type Fields, type Json } from './digits';

export type { Fields, Json };

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits);
}

/** The object under a key, or an empty one. */
export function fields(of: Fields | undefined, key: string): Fields {
  const value = of?.[key];
  return isFields(value) ? value : {};
}

/** The array under a key, or an empty one. */
export function list(of: Fields | undefined, key: string): Json[] {
  const value = of?.[key];
  return Array.isArray(value) ? value : [];
}

/** The number under a key, or undefined; an approximate value if a double cannot hold it. */
export function number(of: Fields | undefined, key: string): number | undefined {
  const value = quantity(of, key);
  return value instanceof Digits ? value.valueOf() : value;
}

/** The number under a key as it was written, or undefined. */
export function quantity(of: Fields | undefined, key: string): number | Digits | undefined {
  const value = of?.[key];
  return typeof value === 'number' || value instanceof Digits ? value : undefined;
}

/**
 * The value under a key as text; '' if there is none. A value that is not a string is returned as its JSON.
 */
export function text(of: Fields | undefined, key: string): string {
  return asText(of?.[key]);
}

export function asText(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : stringify(value);
}

/** The strings in the array under a key. */
export function texts(of: Fields | undefined, key: string): string[] {
  return list(of, key).filter((item) => typeof item === 'string');
}

/** The objects in the array under a key. */
export function objects(of: Fields | undefined, key: string): Fields[] {
  return list(of, key).filter(isFields);
}
