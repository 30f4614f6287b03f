//! `cargo run --example shown -- DOCUMENT…`: what a document has its reader do, for tests that are
//! shell scripts. The output is a JSON array, in order: commands as `{"place", "machine", "line",
//! "exit_code", "lasting", "output"}` (`lasting`: the command goes on until it is interrupted;
//! `output` is what is shown below it), files as `{"place", "machines", "path", "text"}`. Machines
//! are `fe0`, `fe1`, `client`, `frontend` (any of the two) and `checkout`.

#[path = "../tests/support/shown.rs"]
mod shown;
#[path = "../tests/support/source_tree.rs"]
mod source_tree;

use serde_json::{Value, json};
use shown::{Lasting, Machine, Step};

fn main() {
    let documents: Vec<String> = std::env::args().skip(1).collect();
    let steps = documents.iter().flat_map(|path| shown::steps(&shown::document(path)));
    let all: Vec<Value> = steps.map(as_json).collect();
    println!("{:#}", Value::Array(all));
}

fn as_json(step: Step) -> Value {
    match step {
        Step::Type(command) => json!({
            "place": command.place,
            "machine": command.machine.name(),
            "line": command.line,
            "exit_code": command.exit_code,
            "lasting": command.lasting == Lasting::UntilInterrupted,
            "output": command.output,
        }),
        Step::Write { place, machines, path, text } => {
            let machines: Vec<_> = machines.into_iter().map(Machine::name).collect();
            json!({ "place": place, "machines": machines, "path": path, "text": text })
        }
    }
}
