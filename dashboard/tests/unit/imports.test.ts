// No import circles in `src`: neither between files, nor between its folders, which are the layers of the app.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const src = resolve(import.meta.dirname, '../../src');

/** The files of the app with the files that each imports, also those it imports only types from. */
function imports(): Map<string, string[]> {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(ts|svelte)$/.test(name));
  const known = new Set(files);
  return new Map(
    files.map((file) => {
      const found = [...readFileSync(join(src, file), 'utf8').matchAll(/^\s*(?:import|export|\}) .*?'(\.[^']+)';$/gm)];
      const names = found.map(([, name = '']) => join(dirname(file), name));
      const named = names
        .map((name) => (known.has(name) ? name : `${name}.ts`))
        .filter((name) => !name.endsWith('.css.ts'));
      expect(named.filter((name) => !known.has(name))).toEqual([]);
      // A component may contain itself: a tree in a tree.
      return [file, named.filter((name) => name !== file)];
    }),
  );
}

/** A circle in a graph, as its nodes in order; null if there is none. */
function circle(graph: Map<string, string[]>): string[] | null {
  const done = new Set<string>();
  const walk = (node: string, path: string[]): string[] | null => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return null;
    for (const next of graph.get(node) ?? []) {
      const found = walk(next, [...path, node]);
      if (found) return found;
    }
    done.add(node);
    return null;
  };
  for (const node of graph.keys()) {
    const found = walk(node, []);
    if (found) return found;
  }
  return null;
}

describe('the imports of the app', () => {
  it('have no circle between files', () => {
    const files = imports();
    expect(files.get('wire/json.ts')).toEqual(['wire/digits.ts']);
    expect(circle(files)).toBeNull();
  });

  it('have no circle between layers', () => {
    const layers = new Map<string, string[]>();
    for (const [file, named] of imports()) {
      const [layer = ''] = file.split('/');
      const below = named.map((name) => name.split('/')[0] ?? '').filter((name) => name !== layer);
      layers.set(layer, [...(layers.get(layer) ?? []), ...below]);
    }
    expect([...layers.keys()].sort()).toEqual([
      'api',
      'connection',
      'main.ts',
      'shell',
      'socket',
      'store',
      'views',
      'wire',
    ]);
    expect(circle(layers)).toBeNull();
  });

  it('are checked by a walk that finds a circle', () => {
    const graph = (edges: Record<string, string[]>) => circle(new Map(Object.entries(edges)));
    expect(graph({ a: ['b', 'c'], b: ['c'], c: [] })).toBeNull();
    expect(graph({ x: ['a'], a: ['b'], b: ['c'], c: ['a'] })).toEqual(['a', 'b', 'c', 'a']);
  });
});
