"""The Prefect flows of ame-flows; each file reads as the story of what happens."""
