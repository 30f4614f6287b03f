//! A table in Markdown that prints its rows one by one, because some of them take minutes.

/// A table whose head has been printed.
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints the title and the head.
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        println!("\n### {title}\n");
        let widths = columns.iter().map(|column| column.chars().count()).collect();
        let table = Self { widths };
        table.row(columns);
        println!("|{}", "---|".repeat(columns.len()));
        table
    }

    /// Prints a row.
    pub(crate) fn row<S: AsRef<str>>(&self, cells: &[S]) {
        assert_eq!(cells.len(), self.widths.len(), "a row has as many cells as the head");
        let padded =
            cells.iter().zip(&self.widths).map(|(cell, width)| format!(" {:<width$} |", cell.as_ref()));
        println!("|{}", padded.collect::<String>());
    }
}
