"""What people see: server-rendered pages over the ledger."""
