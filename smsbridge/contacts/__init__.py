"""Address books: who has which number, as other programs have written it down."""
