// The wire fixtures of the service's own tests: one set for all languages.

import { readFileSync } from 'node:fs';
import type { SessionEvent } from '../../src/wire/event';
import type { Fields } from '../../src/wire/json';

interface Wire {
  steps: { event?: string }[];
  metadata: Fields;
  state: Fields;
}

const file = new URL('../../../crates/session-model/tests/fixtures/wire.json', import.meta.url);
export const wire = JSON.parse(readFileSync(file, 'utf8')) as Wire;

/** The counter that each type of action increments. */
export const counters = JSON.parse(readFileSync(new URL('metrics.json', file), 'utf8')) as Record<
  string,
  string | null
>;

/** Records, and whether each counts as an error. */
export const errors = JSON.parse(readFileSync(new URL('errors.json', file), 'utf8')) as [Fields, boolean][];

const api = JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8')) as {
  components: { schemas: { EventType: { enum: string[] } } };
};
/** The event types in the description of the API, which is made from the service's table. */
export const eventTypes = api.components.schemas.EventType.enum;

/** The frames that a socket would deliver, byte for byte. */
export const frames: string[] = wire.steps.flatMap((step) => (step.event === undefined ? [] : [step.event]));
export const events: SessionEvent[] = frames.map((frame) => JSON.parse(frame) as SessionEvent);
