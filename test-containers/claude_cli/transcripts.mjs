// Reads the CLI's own transcripts of a session: which messages the model wrote, and what they cost. This is written
// apart from the recorder's reader, to compare the two.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

function* filesOf(configFolder, session) {
  const projects = join(configFolder, 'projects');
  for (const project of existsSync(projects) ? readdirSync(projects) : []) {
    const main = join(projects, project, `${session}.jsonl`);
    if (existsSync(main)) yield { agent: undefined, path: main };
    const agents = join(projects, project, session, 'subagents');
    for (const name of existsSync(agents) ? readdirSync(agents) : []) {
      const [, agent] = /^agent-(.*)\.jsonl$/.exec(name) ?? [];
      if (agent) yield { agent, path: join(agents, name) };
    }
  }
}

/** Returns the answers of models in a session's transcripts, from a time on: `{ agent, id, texts, usage }`. */
export function answersOf(configFolder, session, since) {
  const answers = new Map();
  for (const { agent, path } of filesOf(configFolder, session)) {
    for (const text of readFileSync(path, 'utf8').split('\n').filter(Boolean)) {
      const { type, timestamp, message } = JSON.parse(text);
      if (type !== 'assistant' || message.model.startsWith('<') || Date.parse(timestamp) < since) continue;
      const answer = answers.get(message.id) ?? { agent, id: message.id, texts: [], usage: message.usage };
      answer.texts.push(...message.content.filter((block) => block.type === 'text').map((block) => block.text));
      if (message.usage.output_tokens > answer.usage.output_tokens) answer.usage = message.usage;
      answers.set(message.id, answer);
    }
  }
  return [...answers.values()];
}
