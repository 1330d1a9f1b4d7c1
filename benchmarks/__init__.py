"""The measurements behind the README's figures. Each prints a table and can write JSON."""
