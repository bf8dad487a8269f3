//! The figures as a table of Markdown that reads well in a terminal too.

use super::{Case, Figures, is_met};

const COLUMNS: [&str; 7] = ["", "instructions", "bar", "met", "allocations", "bytes", "ns"];

/// The table; `title` heads the names.
pub(crate) fn render(title: &str, rows: &[(&Case, Figures)]) -> String {
    let mut lines = vec![COLUMNS.map(String::from)];
    lines[0][0] = title.into();
    lines.extend(rows.iter().map(|(case, figures)| cells(case, figures)));
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(width);
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        table += &row(line, &widths);
        if number == 0 {
            table += &rule(&widths);
        }
    }
    table
}

fn cells(case: &Case, figures: &Figures) -> [String; COLUMNS.len()] {
    let none = || String::from("–");
    let counted = figures.counted;
    [
        format!("{}, per {}", case.name, case.per),
        counted.map_or_else(none, |counted| format!("{:.1}", counted.instructions)),
        case.bar.map_or_else(none, |bar| format!("≤ {bar}")),
        is_met(case, figures).map_or_else(none, |met| if met { "yes" } else { "**no**" }.into()),
        counted.map_or_else(none, |counted| match counted.allocations {
            0.0 => "0".into(),
            some => format!("{some:.3} ({:.0} B)", counted.allocated),
        }),
        format!("{:.1}", figures.bytes),
        format!("{:.1}", figures.nanoseconds),
    ]
}

/// Names are aligned to the left, figures to the right.
fn row(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::from("|");
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        line +=
            &if column == 0 { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") };
    }
    line + "\n"
}

fn rule(widths: &[usize]) -> String {
    let mut line = String::from("|");
    for (column, width) in widths.iter().enumerate() {
        line += &"-".repeat(width + 1);
        line += if column == 0 { "-|" } else { ":|" };
    }
    line + "\n"
}
