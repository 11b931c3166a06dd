"""What people read: tables, figures, the saved decision, the HTML report."""
