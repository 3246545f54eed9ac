"""The projector: LEDGER to the read models that partners' questions are answered from."""
