// The model's responses. A scenario is a list of turns. A prompt contains the scenario's key; the next turn depends on
// the turns whose tool calls have been made since that prompt. After the last turn, the only one without a call, the
// stub only sends a closing text.
//
// The number of the assistant's messages is not used for this: a conversation that is resumed after a kill lacks the
// calls without a result, still has the text that came before them, and has a response that the CLI inserted itself.

const BIG = 3 * 1024 * 1024;

const SCENARIOS = {
  // The day's work: reads, an edit, a command, failures, two agents in parallel, a large file.
  SCN_PREPARE: [
    {
      text: 'I read the bookings and the weather first.',
      tools: [read('data/bookings.csv'), read('data/weather.json')],
    },
    { tools: [edit('data/bookings.csv', 'B-1002,Huber,tandem,open', 'B-1002,Huber,tandem,confirmed')] },
    { tools: [bash('grep -c confirmed data/bookings.csv', 'Count the confirmed bookings')] },
    { tools: [bash('echo "no wind data" >&2; exit 3', 'Ask the wind station')] },
    { tools: [read('data/missing.csv')] },
    {
      text: 'Two specialists look at it side by side.',
      tools: [
        agent('Check the weather', 'SUB_WEATHER: is flying safe today?'),
        agent('Check the bookings', 'SUB_BOOKING: who flies today?'),
      ],
    },
    { tools: [write('data/tracklog.igc', tracklog(BIG))] },
    { text: 'The day is prepared: two flights confirmed.' },
  ],
  SUB_WEATHER: [
    { tools: [read('data/weather.json')] },
    { tools: [bash('grep wind data/weather.json', 'Look at the wind')] },
    { text: 'Weather: 12 km/h from the north, safe.' },
  ],
  SUB_BOOKING: [
    { tools: [bash('cut -d, -f2 data/bookings.csv', 'List the guests')] },
    { text: 'Bookings: Maier and Huber fly today.' },
  ],
  // The next morning: the same session continues.
  SCN_RESUME: [
    { tools: [bash('tail -n 1 data/bookings.csv', 'Look at the last booking')] },
    { text: 'Nothing new since yesterday.' },
  ],
  // Only a text.
  SCN_HELLO: [{ text: 'Hello from the desk.' }],
  // One call after another, and two at once.
  SCN_TOOLS: [
    { text: 'I look first.', tools: [read('data/bookings.csv'), read('data/weather.json')] },
    { tools: [edit('data/bookings.csv', 'B-1002,Huber,tandem,open', 'B-1002,Huber,tandem,confirmed')] },
    { tools: [bash('grep -c confirmed data/bookings.csv', 'Count the confirmed bookings')] },
    { tools: [write('data/note.txt', 'Huber flies.\n')] },
    { text: 'Huber is confirmed.' },
  ],
  // Calls that begin, and fail.
  SCN_FAILING: [
    { tools: [bash('echo "no wind data" >&2; exit 3', 'Ask the wind station'), read('data/missing.csv')] },
    { text: 'Neither the station nor the file is there.' },
  ],
  // A call that is not allowed, together with one that needs no permission.
  SCN_DENIED: [
    { tools: [bash('touch /wind-station', 'Reset the wind station'), read('data/weather.json')] },
    { text: 'I may not do that.' },
  ],
  // A tool that does not exist, and a call with the wrong input.
  SCN_INVALID: [
    { tools: [tool('WindStation', { reset: true }), tool('Read', { path: 'data/weather.json' })] },
    { text: 'I have no such tool.' },
  ],
  // Two agents in parallel.
  SCN_AGENTS: [
    {
      tools: [
        agent('Check the weather', 'SUB_WEATHER: is flying safe today?'),
        agent('Check the bookings', 'SUB_BOOKING: who flies today?'),
      ],
    },
    { text: 'Flying is safe, and two guests come.' },
  ],
  // A command that takes so long that a signal interrupts it.
  SCN_SLEEP: [
    { tools: [read('data/weather.json')] },
    { tools: [bash('sleep 30', 'Wait for the wind')] },
    { text: 'The wind has come.' },
  ],
  // The API refuses the request.
  SCN_REFUSED: [{ status: 400, text: 'refused by the scenario' }],
  // For measuring: many cheap calls of one tool.
  SCN_CALLS: [...Array.from({ length: 40 }, () => ({ tools: [read('data/weather.json')] })), { text: 'Done.' }],
};

const CLOSING = { text: 'All finished.' };

function tool(name, input) {
  return { name, input };
}
function read(path) {
  return tool('Read', { file_path: path });
}
function edit(path, before, after) {
  return tool('Edit', { file_path: path, old_string: before, new_string: after });
}
function write(path, content) {
  return tool('Write', { file_path: path, content });
}
function bash(command, description) {
  return tool('Bash', { command, description });
}
function agent(description, prompt) {
  return tool('Agent', { description, prompt, subagent_type: 'flight-planner' });
}

/** Returns lines of a flight recorder's file, as many as make up this many bytes. */
function tracklog(bytes) {
  const lines = [];
  for (let at = 0, n = 0; at < bytes; n += 1) {
    const line = `B${String(n).padStart(6, '0')}4726${String((n * 7) % 100000).padStart(5, '0')}N01142123EA0093000950`;
    lines.push(line);
    at += line.length + 1;
  }
  return `${lines.join('\n')}\n`;
}

function texts(message) {
  if (message.role !== 'user') return [];
  if (typeof message.content === 'string') return [message.content];
  return message.content.filter((block) => block.type === 'text').map((block) => block.text);
}

function keyIn(message) {
  const found = texts(message).join('\n').match(/\b(?:SCN|SUB)_[A-Z]+\b/g) ?? [];
  return found.findLast((key) => key in SCENARIOS);
}

function blocks(message) {
  return message.role === 'assistant' && Array.isArray(message.content) ? message.content : [];
}

/** Returns how many turns of the scenario are in these messages: the ids of their calls contain the turn's number. */
function turnsIn(messages, key) {
  const said = messages.flatMap(blocks);
  if (said.some((block) => block.type === 'text' && block.text === SCENARIOS[key].at(-1).text)) return Infinity;
  const mine = said.filter((block) => block.type === 'tool_use' && block.id.startsWith(`toolu_${key.toLowerCase()}_`));
  return new Set(mine.map((block) => block.id.split('_').at(-2))).size;
}

/** Returns the turn that follows these messages, with its own ids for the tool calls. */
export function turnFor(messages) {
  const start = messages.findLastIndex((message) => keyIn(message));
  if (start < 0) return CLOSING;
  const key = keyIn(messages[start]);
  const step = turnsIn(messages.slice(start), key);
  const turn = SCENARIOS[key][step] ?? CLOSING;
  const id = (index) => `toolu_${key.toLowerCase()}_${String(step).padStart(2, '0')}_${index}`;
  return { ...turn, tools: turn.tools?.map((tool, index) => ({ id: id(index), ...tool })) };
}
