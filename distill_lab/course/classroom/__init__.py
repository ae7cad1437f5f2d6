"""For teachers: lessons without solutions (`release`), and who solved what (`grade`)."""
