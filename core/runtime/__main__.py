from core.runtime.cli import main

main()
