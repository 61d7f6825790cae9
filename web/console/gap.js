// What a gap notice means, in words.

const REASONS = {
  trimmed: "Events were missed: they were removed by the history's limits before this stream came to them.",
  unknown_id: "Events may have been missed: the hub knows no event with the id that was asked for, or no longer.",
  other_epoch: "Events may have been missed: the id is from another log than this one, or from before a crash that lost events.",
  ahead: "Events may have been missed: the id that was asked for is after the newest event there is.",
};

export function gapInWords(data) {
  let gap;
  try { gap = JSON.parse(data); } catch { gap = {}; }
  const goesOn = gap.resumes_after ? ` The stream goes on after ${gap.resumes_after}.` : "";
  return `${REASONS[gap.reason] ?? "Events may have been missed."}${goesOn} A page that shows a state made of events should load it anew.`;
}
