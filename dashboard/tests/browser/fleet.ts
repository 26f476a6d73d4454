// Sample sessions like those of a team, for lists and screenshots.

import type { Fields } from '../../src/wire/json';
import type { Service } from './service';

const USERS = ['ada', 'grace', 'linus', 'margaret', 'ken'];
const MODELS = ['claude-sonnet-4.5', 'claude-opus-4.1', 'gpt-5'];
const JOBS = ['fix-login', 'upgrade-deps', 'write-docs', 'review-412', 'migrate-db', 'triage-inbox', 'profile-start'];
const TAGS = [['nightly'], [], ['review', 'urgent'], ['docs'], []];

function lines(n: number): Fields[] {
  const act = (data: Fields): Fields => ({ type: 'action', data });
  const kinds: Fields[] = [
    act({ type: 'tool_call', tool: 'Read', input: { file_path: `src/module_${n}.ts` } }),
    act({ type: 'bash_exec', command: 'cargo test --workspace' }),
    act({ type: 'file_edit', tool: 'Edit', input: { file_path: `src/module_${n}.ts` } }),
    act({ type: 'mcp_call', tool: 'mcp__tracker__list', input: { query: 'open' } }),
    { type: 'response', data: { type: 'message', content: `Step ${n} is done, going on with the next.` } },
    { type: 'agent_spawn', data: { type: 'reviewer', task: 'read the change' } },
    {
      type: 'state_update',
      data: { phase: ['planning', 'implementing', 'verifying'][n % 3] ?? '', currentStep: `step ${n}` },
    },
  ];
  return Array.from(
    { length: 3 + ((n * 7) % 40) },
    (_, k) => kinds[(k * (n + 3)) % kinds.length] ?? kinds[0],
  ) as Fields[];
}

export async function fleet(service: Service, count = 60): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const id = `${JOBS[n % JOBS.length]}-${(7919 * (n + 11)).toString(36)}`;
    await service.create(id, USERS[n % USERS.length], {
      initial: { source: 'cli', config: { model: MODELS[n % MODELS.length] ?? '' } },
    });
    await service.batch(id, lines(n));
    const total = 1000 + ((n * 7331) % 90_000);
    await service.ask('PATCH', `/api/sessions/${id}/metadata`, {
      tags: TAGS[n % TAGS.length] ?? [],
      'tokenUsage.input': Math.round(total * 0.8),
      'tokenUsage.output': Math.round(total * 0.2),
      'tokenUsage.total': total,
    });
    if (n % 4 !== 0)
      await service.ask('POST', `/api/sessions/${id}/finalize`, {
        status: n % 9 ? 'success' : 'error',
        outcome: { step: n },
      });
  }
}

/** Makes `count` changes, one after the other, spread over the sessions. */
export async function scatter(service: Service, count: number): Promise<void> {
  const { sessions } = await service.ask('GET', '/api/sessions?limit=30');
  const names = (sessions as Fields[]).map((session) => String(session['sessionId']));
  const ids = names.filter((id) => !id.startsWith('test-'));
  for (let n = 0; n < count; n += 1) {
    const kinds = lines(n % 9);
    await service.batch(ids[(n * 7) % ids.length] ?? '', [kinds[(n * 5) % kinds.length] ?? {}]);
    await new Promise((done) => setTimeout(done, 8 + ((n * 37) % 50)));
  }
}
