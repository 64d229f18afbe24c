from hartonomous.cli import main

main()
