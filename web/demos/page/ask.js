// Runs a request that a button asks for, and says in words what became of it.
export async function ask(output, request, done = "") {
  output.classList.remove("bad");
  try {
    const response = await request();
    if (response.ok) return void (output.textContent = done);
    const problem = await response.json();
    output.textContent = `Refused: ${problem.detail || problem.title}.`;
  } catch (error) {
    output.textContent = `No answer (${error.message}). Is the hub running?`;
  }
  output.classList.add("bad");
}
