// Decides which records only serve the recording: other rows or the session's header show the same.

import type { SessionEvent } from '../../wire/event';
import { isFields, text } from '../../wire/json';

/** Types of actions that hooks and importers write only for completeness. */
const TYPES = new Set([
  'amend',
  'config_change',
  'instructions_loaded',
  'message_display',
  'post_tool_batch',
  'pre_compact',
  'session_end',
  'setup',
  'subagent_start',
  'subagent_stop',
  'teammate_idle',
  'usage',
  'user_prompt_expansion',
]);
/** Keys of the state that recorders write for their own use, or that repeat records. */
const OWN_STATE = new Set(['version', 'timestamp', 'claudeCode', 'errors']);

export function isBookkeeping({ type, data, format }: SessionEvent): boolean {
  if (type === 'metadata_updated') return true;
  if (type === 'action') return TYPES.has(text(data, 'type'));
  if (type !== 'state_updated' || format !== undefined) return false;
  return Object.entries(data).every(
    ([key, value]) =>
      OWN_STATE.has(key) ||
      (key === 'workspace' && isFields(value) && Object.keys(value).every((inner) => inner === 'cwd')),
  );
}
