-- Draw numbers of runs one program after the other, until the transaction ends: here every writer is alone already.
SELECT 1
