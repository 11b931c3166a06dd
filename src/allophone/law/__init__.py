"""The scaling law: error rate against what each axis buys, fitted, validated, and searched."""
