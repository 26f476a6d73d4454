// Texts of which a record has only an excerpt, because the client stored the whole as a blob. `blobs` of the record
// has the references, by the same paths as `truncated`.

import { fields, isFields, type Fields, type Json } from './json';
import { blobOf, type Blob } from './record';

/** The blobs that hold whole texts of a record, by path. */
export function textBlobs(record: Fields): Map<string, Blob> {
  const found = new Map<string, Blob>();
  for (const [path, reference] of Object.entries(fields(record, 'blobs'))) {
    const blob = blobOf(reference);
    if (blob && blob.mediaType.startsWith('text/') && typeof valueAt(record, path) === 'string') found.set(path, blob);
  }
  return found;
}

/** The record with these texts in the place of the excerpts. What is whole is no longer listed as cut. */
export function withTexts(record: Fields, texts: ReadonlyMap<string, string>): Fields {
  if (texts.size === 0) return record;
  let whole = record;
  for (const [path, text] of texts) whole = replaced(whole, path, text) as Fields;
  const { truncated, ...rest } = whole;
  const left = Object.entries(isFields(truncated) ? truncated : {}).filter(([path]) => !texts.has(path));
  return left.length === 0 ? rest : { ...rest, truncated: Object.fromEntries(left) };
}

function valueAt(value: Json | undefined, path: string): Json | undefined {
  const step = stepOf(value, path);
  if (!step) return undefined;
  const inner = (value as Fields)[step.key];
  return step.rest === null ? inner : valueAt(inner, step.rest);
}

function replaced(value: Json, path: string, text: string): Json {
  const step = stepOf(value, path);
  if (!step) return value;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as Fields) }) as Fields;
  copy[step.key] = step.rest === null ? text : replaced(copy[step.key] ?? null, step.rest, text);
  return copy;
}

/** The first key of a path. A key may contain dots: the longest one that exists is meant. */
function stepOf(value: Json | undefined, path: string): { key: string; rest: string | null } | null {
  if (!isFields(value) && !Array.isArray(value)) return null;
  for (let end = path.length; end > 0; end = path.lastIndexOf('.', end - 1)) {
    const key = path.slice(0, end);
    if (Object.hasOwn(value, key)) return { key, rest: end === path.length ? null : path.slice(end + 1) };
  }
  return null;
}
