// Folds records into a conversation. A new record costs the same however many there are; records may come in any
// order and repeatedly, and the result is the same.

import type { SessionEvent } from '../../wire/event';
import { text } from '../../wire/json';
import { amend, callOf, entryOf, type Entry } from './entry';
import { newBlock, newItem, newTurn, type Block, type Home, type Item, type Turn } from './items';
import { Rates } from './rates';
import { Requests } from './requests';
import { withTexts } from '../../wire/whole';

export class Conversation {
  turns: Turn[] = [];
  /** Records in memory, in their order. */
  entries: Entry[] = [];
  /** The call that started each agent, as far as a record names the agent: the agent is shown there. */
  readonly spawns = new Map<string, Item>();
  readonly blocks = new Map<string, Block>();
  #known = new Set<number>();
  #isDirty = false;
  #turns = new Map<string, Turn>();
  #calls = new Map<string, Item>();
  #runs = new Map<string, Item>();
  #requests: Requests;
  /** Records, and the `amend` records that add to them, by log and key. */
  #keyed = new Map<string, Entry>();
  #amends = new Map<string, Entry[]>();

  constructor(private readonly rates = new Rates()) {
    this.#requests = new Requests(rates);
  }

  /** Adds events, the first of which has the number `at` in the session. Returns whether any of them is new. */
  add(events: readonly SessionEvent[], at: number): boolean {
    const before = this.entries.length;
    events.forEach((event, n) => this.#add(entryOf(event, at + n)));
    this.#settle();
    return this.entries.length > before;
  }

  /** The record that an `amend` record adds to; any other record itself. */
  targetOf(entry: Entry): Entry {
    if (entry.kind !== 'amend') return entry;
    return this.#keyed.get(`${entry.log} ${text(entry.event.data, 'of')}`) ?? entry;
  }

  /** Keeps only the records numbered `from..to`. */
  keep(from: number, to: number): void {
    this.entries = this.entries.filter(({ index }) => index >= from && index < to);
    this.#known = new Set(this.entries.map(({ offset }) => offset));
    this.#isDirty = true;
    this.#settle();
  }

  /** Replaces a record by the same one, read in full. `texts` are those of which it has an excerpt. */
  replace(event: SessionEvent, texts: ReadonlyMap<string, string> = new Map()): void {
    const entry = this.entries.find(({ offset }) => offset === event.offset);
    if (!entry) return;
    entry.event = event;
    entry.texts = texts;
    this.#isDirty = true;
    this.#settle();
  }

  /** Computes the costs again, after the prices have changed. */
  price(): void {
    this.#requests.price();
  }

  #add(entry: Entry): void {
    if (this.#known.has(entry.offset)) return;
    this.#known.add(entry.offset);
    const last = this.entries.at(-1);
    this.entries.push(entry);
    if (last && last.offset > entry.offset) this.#isDirty = true;
    if (this.#isDirty) return;
    this.#join(entry);
    this.#place(entry);
  }

  /** Puts everything in place again after a change to earlier records. */
  #settle(): void {
    if (!this.#isDirty) return;
    this.entries.sort((a, b) => a.offset - b.offset);
    this.turns = [];
    const maps = [this.spawns, this.blocks, this.#turns, this.#calls, this.#runs, this.#keyed, this.#amends];
    for (const map of maps) map.clear();
    this.#requests = new Requests(this.rates);
    for (const entry of this.entries) entry.record = withTexts(entry.event.data, entry.texts ?? new Map());
    for (const entry of this.entries) this.#join(entry);
    for (const entry of this.entries) this.#place(entry);
    this.#isDirty = false;
  }

  /** Joins a record with those that add fields to it, whichever comes first. */
  #join(entry: Entry): void {
    const isAmend = entry.kind === 'amend';
    const key = text(entry.event.data, isAmend ? 'of' : 'key');
    if (key === '' || entry.log === 'changes') return;
    const name = `${entry.log} ${key}`;
    if (!isAmend) {
      if (this.#keyed.has(name)) return;
      this.#keyed.set(name, entry);
      for (const by of this.#amends.get(name) ?? []) amend(entry, by);
      return;
    }
    const amends = this.#amends.get(name) ?? [];
    amends.push(entry);
    this.#amends.set(name, amends);
    const target = this.#keyed.get(name);
    if (target && amend(target, entry)) this.#isDirty = true;
  }

  /** Whether an earlier record has the same key: what was recorded twice is one record. */
  #isRepeated(entry: Entry): boolean {
    const first = this.#keyed.get(`${entry.log} ${text(entry.event.data, 'key')}`);
    return first !== undefined && first !== entry;
  }

  #place(entry: Entry): void {
    if (entry.kind === 'hidden' || entry.kind === 'amend' || this.#isRepeated(entry)) return;
    const home = this.#homeOf(entry);
    const turn = home.kind === 'block' ? home.turn : home;
    for (const one of new Set<Home>([home, turn])) {
      if (!Number.isFinite(entry.at)) continue;
      one.from = Math.min(one.from, entry.at);
      one.to = Math.max(one.to, entry.at);
    }
    if (home.kind === 'block') home.records += 1;
    switch (entry.kind) {
      case 'usage':
        return this.#requests.count(entry, turn, home.kind === 'block' ? home : null);
      case 'agent':
        return this.#agent(entry, home);
      case 'call':
        return this.#call(entry, home, turn);
      case 'result':
      case 'change':
      case 'permission':
        return this.#about(entry, entry.kind, home);
      case 'step':
        return this.#step(entry, home);
      default:
        home.items.push(newItem(entry, entry.kind));
    }
  }

  #call(entry: Entry, home: Home, turn: Turn): void {
    const id = callOf(entry);
    let item = id === '' ? undefined : this.#calls.get(id);
    if (item?.call) {
      item.others.push(entry);
    } else {
      if (!item) home.items.push((item = newItem(entry, 'call')));
      item.call = entry;
      for (const one of new Set<Home>([home, turn])) one.calls += 1;
    }
    if (id !== '') this.#calls.set(id, item);
    this.#spawned(entry, item);
  }

  /** A record about a call: it is shown with the call, or by itself if the call is not known. */
  #about(entry: Entry, kind: 'result' | 'change' | 'permission', home: Home): void {
    const id = callOf(entry);
    let item = id === '' ? undefined : this.#calls.get(id);
    if (!item) home.items.push((item = newItem(entry, id === '' && kind !== 'result' ? kind : 'call')));
    if (id !== '') this.#calls.set(id, item);
    ({ result: item.results, change: item.changes, permission: item.permissions })[kind].push(entry);
    this.#spawned(entry, item);
  }

  #spawned(entry: Entry, item: Item): void {
    const agent = text(entry.record, 'spawnedAgentId');
    if (agent !== '' && !this.spawns.has(agent)) this.spawns.set(agent, item);
  }

  #step(entry: Entry, home: Home): void {
    const run = text(entry.record, 'run');
    const before = run === '' ? undefined : this.#runs.get(run);
    if (before) return void before.others.push(entry);
    const item = newItem(entry, 'step');
    item.depth = Math.min(6, (this.#runs.get(text(entry.record, 'parentRun'))?.depth ?? -1) + 1);
    if (run !== '') this.#runs.set(run, item);
    home.items.push(item);
  }

  #agent(entry: Entry, home: Home): void {
    if (home.kind === 'turn') return void home.items.push(newItem(entry, 'lifecycle'));
    const call = this.#calls.get(callOf(entry));
    if (call && !this.spawns.has(home.agentId)) this.spawns.set(home.agentId, call);
    home.marks.push(entry);
  }

  #homeOf(entry: Entry): Home {
    const agent = entry.log === 'changes' ? '' : text(entry.record, 'agentId');
    return agent === '' || agent === 'main' ? this.#turnOf(entry) : this.#blockOf(agent, entry);
  }

  #turnOf(entry: Entry): Turn {
    const id = entry.log === 'changes' ? '' : text(entry.record, 'turnId');
    const known = id === '' ? this.turns.at(-1) : this.#turns.get(id);
    const isPrompt =
      id === '' && text(entry.record, 'type') === 'user_message' && text(entry.record, 'source') !== 'queued';
    if (known && !isPrompt) return known;
    const turn = newTurn(`turn ${entry.offset}`, id);
    this.turns.push(turn);
    if (id !== '') this.#turns.set(id, turn);
    return turn;
  }

  #blockOf(agentId: string, entry: Entry): Block {
    const known = this.blocks.get(agentId);
    if (known) return known;
    const turn = this.#turns.get(text(entry.record, 'turnId')) ?? this.turns.at(-1) ?? this.#turnOf(entry);
    const block = newBlock(agentId, turn);
    this.blocks.set(agentId, block);
    const item = newItem(entry, 'agent');
    item.key = `agent ${agentId}`;
    item.block = block;
    turn.items.push(item);
    return block;
  }
}
